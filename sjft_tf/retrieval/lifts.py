"""Lifts: vectors of both sides with `divergence(t, s) = offset(t) - <u(t), v(s)>`, which make a search a matrix product."""

import dataclasses
import functools
from typing import Protocol

import numpy as np

from sjft_tf.retrieval.divergence import lift_targets, symmetric_kl

_SAMPLE = 256  # target images that center and scale of the lift are taken from
_UNIT32 = 2.0**-24


class Lift(Protocol):
    """Vectors of length d of any number of descriptors."""

    @property
    def rounding(self) -> float:
        """How many times the unit roundoff, for each product of <u, v>, vectors in float64 may be wrong by."""

    def targets(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`u`, `[n, d]` float64, and offsets, `[n]` float64."""

    def sources(self, descriptors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`v`, `[m, d]`; the last of its numbers is a summand of the divergence that is the source's own.

        Args:
            descriptors: `[m, ...]`.
            out: where to write it, float64 or float32, as which the arithmetic is done; new float64 if None.
        """

    def errors32(self, lengths: np.ndarray) -> np.ndarray:
        """Bounds of what arithmetic in float32, besides rounding its result, changes in `<u, v> / |u|`, `[m]` float64.

        Args:
            lengths: `[m]` float64, of the vectors `v`.
        """

    def offset_errors(self, lengths: np.ndarray, unit: float) -> np.ndarray:
        """Bounds of the errors of offsets, `[n]`, for targets with `u` of these lengths.

        Args:
            lengths: `[n]` float64.
            unit: relative error of an inner product of these vectors.
        """

    def direct(self, targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """Divergences of all pairs by their definition, `[n, m]` float64: what the lift stands for."""


@dataclasses.dataclass(frozen=True, eq=False)
class HistogramLift:
    """The lift of `lift_targets` and `lift_sources`, with the logarithms of all counts looked up.

    Args:
        channel_weights: `[D]` float64.
        pixels: `[D]` int, the sum of each histogram, the same in all images.
        center: `[D, bins]` float64, as in `lift_targets`.
        scale: as in `lift_targets`.
        epsilon: as in `lift_targets`.
    """

    channel_weights: np.ndarray
    pixels: np.ndarray
    center: np.ndarray
    scale: float
    epsilon: float

    @classmethod
    def short(cls, target_counts: np.ndarray, channel_weights: np.ndarray, epsilon: float) -> "HistogramLift":
        """A lift to short vectors, which have tight bounds: logarithms centered on the target, halves of equal length."""
        sample = target_counts[:: -(-len(target_counts) // _SAMPLE)]
        u, _ = lift_targets(sample, channel_weights, epsilon=epsilon)
        probabilities, logs = np.split(u[:, :-1], 2, axis=1)
        center = logs.mean(axis=0)
        scale = float(np.sqrt(np.linalg.norm(logs - center) / np.linalg.norm(probabilities)))
        pixels = sample[0].sum(axis=1, dtype=np.int64)
        return cls(channel_weights, pixels, center.reshape(sample.shape[1:]), scale or 1.0, epsilon)

    @property
    def rounding(self) -> float:
        """The square root is for the sum over channels that is the source's own summand."""
        return 2 + float(np.sqrt(len(self.channel_weights)))

    def targets(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`u` and offsets of `[n, D, bins]` counts."""
        return lift_targets(
            descriptors, self.channel_weights, center=self.center, scale=self.scale, epsilon=self.epsilon
        )

    def sources(self, descriptors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`v` of `[m, D, bins]` counts."""
        m, n_channels, bins = descriptors.shape
        v = np.empty((m, 2 * n_channels * bins + 1)) if out is None else out
        weights, scale = self.channel_weights[:, None], self.scale
        center, first, second, inverse = (
            factor.astype(v.dtype)
            for factor in (self.center, weights / scale, weights * scale, 1 / self.pixels[:, None])
        )
        halves = v[:, :-1].reshape(m, 2, n_channels, bins)
        logs = self._logarithms(descriptors, v.dtype)
        logs -= center
        np.multiply(logs, first, out=halves[:, 0])
        q = np.multiply(descriptors.astype(v.dtype, order="C"), inverse)
        np.multiply(q, second, out=halves[:, 1])
        np.multiply(q, halves[:, 0], out=q)
        v[:, -1] = -q.sum(axis=2).sum(axis=1, dtype=np.float64)
        return v

    def errors32(self, lengths: np.ndarray) -> np.ndarray:
        """As in `Lift`.

        A logarithm is wrong by its own unit roundoff and the center's, so that the first half is wrong by less than 5
        of its own length and 3 of the center's. The source's own summand is a product of it with histograms, which are
        no longer than the square root of D, and its sums are of at most `bins` numbers in float32.
        """
        center = 3 * np.linalg.norm(self.center * self.channel_weights[:, None]) / self.scale
        longest = np.sqrt(len(self.channel_weights))
        terms = self.center.shape[1] + 12
        errors: np.ndarray = _UNIT32 * ((8 + longest * terms) * lengths + (1 + longest) * center)
        return errors

    def offset_errors(self, lengths: np.ndarray, unit: float) -> np.ndarray:
        """As in `Lift`; the second term is of the logarithms."""
        logarithms = 16 * 2.0**-53 * (2 - np.log(self.epsilon)) * self.channel_weights.sum()
        errors: np.ndarray = unit * self.channel_weights.max() * lengths**2 + logarithms
        return errors

    def direct(self, targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """`symmetric_kl`."""
        return symmetric_kl(targets, sources, self.channel_weights, epsilon=self.epsilon)

    def _logarithms(self, counts: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """`log(q + epsilon)` of `[m, D, bins]` counts."""
        tables = self._tables[dtype.itemsize]
        if len(tables) == 1:
            return np.take(tables[0][1], counts.astype(np.intp, order="C"), mode="clip")
        logs = np.empty(counts.shape, dtype)
        for channels, table in tables:
            logs[:, channels] = np.take(table, counts[:, channels].astype(np.intp), mode="clip")
        return logs

    @functools.cached_property
    def _tables(self) -> dict[int, list[tuple[np.ndarray, np.ndarray]]]:
        """For each size of a float: channels with the same number of pixels, and the logarithm for every count."""
        tables = [
            (np.flatnonzero(self.pixels == n), np.log(np.arange(n + 1) / n + self.epsilon))
            for n in np.unique(self.pixels)
        ]
        return {8: tables, 4: [(channels, table.astype(np.float32)) for channels, table in tables]}


class FeatureLift:
    """A lift of feature vectors: `|a - b|^2 = |a|^2 - <[2 a, 1], [b, -|b|^2]>`."""

    rounding = 3.0

    def targets(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`u` and offsets of `[n, F]` features."""
        a = descriptors.astype(np.float64)
        return np.column_stack([2 * a, np.ones(len(a))]), np.vecdot(a, a)

    def sources(self, descriptors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """`v` of `[m, F]` features; the arithmetic is float64 always."""
        b = descriptors.astype(np.float64)
        v = np.empty((len(b), b.shape[1] + 1)) if out is None else out
        v[:, :-1], v[:, -1] = b, -np.vecdot(b, b)
        return v

    def errors32(self, lengths: np.ndarray) -> np.ndarray:
        """As in `Lift`: none."""
        return np.zeros_like(lengths)

    def offset_errors(self, lengths: np.ndarray, unit: float) -> np.ndarray:
        """As in `Lift`; an offset is at most a quarter of its vector's squared length."""
        errors: np.ndarray = unit * lengths**2
        return errors

    def direct(self, targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """`squared_distance`."""
        return squared_distance(targets, sources)


def squared_distance(targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Squared distance of every target's feature vector from every source's, in the same order of terms always.

    Args:
        targets: `[n, F]` float; sources: `[m, F]` float. Of unit length they are compared by angle: 2 - 2 cos.

    Returns:
        `[n, m]` float64, >= 0; equal vectors give exactly 0.
    """
    b = sources.astype(np.float64)
    return np.array([np.square(row - b).sum(axis=1) for row in targets.astype(np.float64)]).reshape(
        len(targets), len(sources)
    )
