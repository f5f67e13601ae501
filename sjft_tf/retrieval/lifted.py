"""Divergences of many pairs from their lifted vectors, each with a bound of what rounding did to it.

The divergence is `offset - <u, v>`. A sum of n products in any order is wrong by at most about n times the unit
roundoff times `|u| |v|` (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1): a bound that holds
for every BLAS, number of threads and tile size, and that float32 as well as float64 can state of its own products.
"""

import concurrent.futures
import dataclasses

import numpy as np

from sjft_tf.retrieval.divergence import lift_sources, lift_targets, symmetric_kl
from sjft_tf.retrieval.tiles import in_threads

_UNIT32, _UNIT64 = 2.0**-24, 2.0**-53
_SAMPLE = 256  # target images that center and scale of the lift are taken from
_GATHERED = 64  # source vectors brought together at a time


@dataclasses.dataclass(frozen=True)
class Lift:
    """What the vectors of both sides must have in common; see `lift_targets`."""

    channel_weights: np.ndarray
    center: np.ndarray
    scale: float
    epsilon: float

    @classmethod
    def short(cls, target_counts: np.ndarray, channel_weights: np.ndarray, epsilon: float) -> "Lift":
        """A lift to short vectors, which have tight bounds: logarithms centered on the target, halves of equal length."""
        sample = target_counts[:: -(-len(target_counts) // _SAMPLE)]
        u, _ = lift_targets(sample, channel_weights, epsilon=epsilon)
        probabilities, logs = np.split(u[:, :-1], 2, axis=1)
        center = logs.mean(axis=0)
        scale = float(np.sqrt(np.linalg.norm(logs - center) / np.linalg.norm(probabilities)))
        return cls(channel_weights, center.reshape(sample.shape[1:]), scale or 1.0, epsilon)

    def targets(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`u` and offsets of target descriptors."""
        return lift_targets(counts, self.channel_weights, center=self.center, scale=self.scale, epsilon=self.epsilon)

    def sources(self, counts: np.ndarray) -> np.ndarray:
        """`v` of source descriptors."""
        return lift_sources(counts, self.channel_weights, center=self.center, scale=self.scale, epsilon=self.epsilon)


class LiftedTargets:
    """Some target images, lifted, to be compared with many source images.

    Args:
        counts: `[n, D, bins]` descriptors.
        lift: the lift of both sides; what comes out depends on its weights and epsilon only.
        source_rows: the most source images that one call will bring.
        pool: threads for the work that BLAS does not spread over the cores.
    """

    def __init__(self, counts: np.ndarray, lift: Lift, *, source_rows: int, pool: concurrent.futures.Executor) -> None:
        self._counts, self._lift, self._pool = counts, lift, pool
        self._u, self._offsets = lift.targets(counts)
        self._lengths = _lengths(self._u)
        self._left = -np.hstack([self._u, self._lengths[:, None]]).astype(np.float32)
        self._right = np.empty((source_rows, self._left.shape[1]), np.float32)
        self._v = np.empty((source_rows, self._u.shape[1]))
        # a few terms more than there are products, and the square root, are for the rounding of the factors themselves
        terms, weights = self._u.shape[1] + 8, lift.channel_weights
        self._slack32, self._slack64 = 1.1 * terms * _UNIT32, terms * (2 + np.sqrt(len(weights))) * _UNIT64
        log_errors = 16 * _UNIT64 * (2 - np.log(lift.epsilon)) * weights.sum()
        self._offset_errors = self._slack64 * weights.max() * self._lengths**2 + log_errors

    def scores(self, source_counts: np.ndarray, out: np.ndarray) -> None:
        """Write the scores of `[m, D, bins]` source descriptors to `out`, `[n, m]` float32.

        No score is above the pair's divergence minus the target's offset: one product more, of the lengths, takes the
        bound of the error off. Within a row, scores ascend nearly as the divergences do.
        """
        right = self._right[: len(source_counts)]

        def lift(part: slice) -> None:
            v = self._lift.sources(source_counts[part])
            right[part, :-1] = v
            right[part, -1] = self._slack32 * _lengths(v)

        in_threads(self._pool, lift, len(right))
        np.matmul(self._left, right.T, out=out)

    def ceilings(self, divergences: np.ndarray) -> np.ndarray:
        """The scores, `[n]` float32, that only pairs of more than these divergences, `[n]` float32, exceed."""
        above = np.nextafter(divergences, np.float32(np.inf)).astype(np.float64)
        scores = above - self._offsets + self._offset_errors
        return np.nextafter(scores.astype(np.float32), np.float32(np.inf))

    def divergences(self, source_counts: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """`symmetric_kl` of the pairs (rows[i], columns[i]), rounded to float32.

        Args:
            source_counts: `[m, D, bins]` descriptors.
            rows: `[pairs]` int in 0..n-1, ascending.
            columns: `[pairs]` int in 0..m-1.
        """
        present = np.bincount(columns, minlength=len(source_counts)) > 0
        source_counts, columns = source_counts[present], (np.cumsum(present) - 1)[columns]
        estimates, errors = self._estimates(source_counts, rows, columns)
        values, others = (estimates - errors).astype(np.float32), (estimates + errors).astype(np.float32)
        uncertain = np.flatnonzero(values != others)
        for pairs in np.split(uncertain, np.flatnonzero(np.diff(rows[uncertain])) + 1):
            if len(pairs):
                values[pairs] = self._direct(rows[pairs[0]], source_counts[columns[pairs]])
        return values

    def _direct(self, row: int, source_counts: np.ndarray) -> np.ndarray:
        """Divergences of one target image, term by term."""
        counts, lift = self._counts[row : row + 1], self._lift
        return symmetric_kl(counts, source_counts, lift.channel_weights, epsilon=lift.epsilon)[0]

    def _estimates(
        self, source_counts: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Divergences of pairs by inner products in float64, and bounds of their errors."""
        v, lengths, products = self._v[: len(source_counts)], np.empty(len(source_counts)), np.empty(len(rows))
        firsts = np.searchsorted(rows, np.arange(len(self._u) + 1))

        def lift(part: slice) -> None:
            v[part] = self._lift.sources(source_counts[part])
            lengths[part] = _lengths(v[part])

        def multiply(part: slice) -> None:
            room = np.empty((_GATHERED, v.shape[1]))
            for row in range(part.start, part.stop):
                for first in range(firsts[row], firsts[row + 1], _GATHERED):
                    pairs = slice(first, min(first + _GATHERED, firsts[row + 1]))
                    near = np.take(v, columns[pairs], axis=0, out=room[: pairs.stop - first], mode="clip")
                    products[pairs] = np.vecdot(near, self._u[row])

        in_threads(self._pool, lift, len(v))
        in_threads(self._pool, multiply, len(self._u))
        errors = self._slack64 * self._lengths[rows] * lengths[columns] + self._offset_errors[rows]
        return self._offsets[rows] - products, errors


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.vecdot(vectors, vectors))
