"""A compact embedding of lifted vectors: a few hundred numbers whose inner products rank sources as the divergence does.

Of the matrix of all `<u(t), v(s)>` a ranking needs less than all. What is constant in a row does not matter, so `v` is
centered. What all targets agree on, `<mean u, v>` with the sources' own summand in it, is kept as one exact number. The
rest, `(u - mean u)^T (v - mean v)`, is approximated with least squared error over a sample of both sides, by its singular
vectors: unlike components of `v` alone, these hold no direction in which the sources differ but no target asks.
The matrix of the sample is as large as the sample, so nothing grows with the square of a descriptor's length.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from sjft_tf.retrieval.lifting import Lift, lift_sources, lift_targets
from sjft_tf.retrieval.threads import tiles

_LIFTED_BYTES = 2**26  # of source vectors at a time
_FAINT = 1e-5  # singular values below so many times the first are rounding errors of float32


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """Linear maps of lifted vectors; `<targets(t), sources(s)>` is about a constant of t less the divergence.

    Attributes:
        lift: of both sides.
        target_mean, source_mean: `[D]` float32, of u and of v.
        target_map: `[d - 1, D]` float32.
        source_map: `[d, D]` float32, the last row for what all targets agree on.
        common: what stands for that in an embedded target.
    """

    lift: Lift
    target_mean: np.ndarray
    source_mean: np.ndarray
    target_map: np.ndarray
    source_map: np.ndarray
    common: float

    @property
    def dimensions(self) -> int:
        """Numbers in an embedded vector, d."""
        return len(self.source_map)

    def targets(self, descriptors: np.ndarray) -> np.ndarray:
        """Embedded targets, `[n, d]` float32."""
        embedded = np.full((len(descriptors), self.dimensions), self.common, np.float32)
        embedded[:, :-1] = (lift_targets(descriptors, self.lift) - self.target_mean) @ self.target_map.T
        return embedded

    def sources(self, descriptors: np.ndarray) -> np.ndarray:
        """Embedded sources, `[m, d]` float32."""
        embedded = np.empty((len(descriptors), self.dimensions), np.float32)
        for rows, v in _lifted_sources(descriptors, self.lift):
            v -= self.source_mean
            embedded[rows] = v @ self.source_map.T
        return embedded


def fit_embedding(targets: np.ndarray, sources: np.ndarray, lift: Lift, *, dimensions: int) -> Embedding:
    """The embedding of least squared error over all pairs of a sample.

    With singular vectors `A diag(s) B^T` of `M = (u - mean u)^T (v - mean v)`, a source becomes `A^T (u - mean u) v` and
    a target, by least squares, `-diag(1 / s) B^T (v - mean v) u`; both are scaled to equal length.

    Args:
        targets, sources: descriptors of a sample of either side, or of all.
        dimensions: numbers to keep beside the common one; fewer are kept where the sample has no more.
    """
    u = lift_targets(targets, lift)
    target_mean = u.mean(axis=0)
    u -= target_mean
    products, agreed = np.empty((len(u), len(sources))), np.empty(len(sources))
    total = np.zeros(u.shape[1])
    for rows, v in _lifted_sources(sources, lift):
        products[:, rows], agreed[rows] = u @ v.T, v @ target_mean
        total += v.sum(axis=0, dtype=np.float64)
    source_mean = (total / len(sources)).astype(np.float32)
    products -= products.mean(axis=1, keepdims=True)
    squares, left = np.linalg.eigh(products @ products.T)  # of the singular values, ascending
    kept = min(dimensions, int((squares > squares[-1] * _FAINT**2).sum()))
    values, left = np.sqrt(squares[::-1][:kept]), left[:, ::-1][:, :kept]
    left, right = left / np.sqrt(values), products.T @ left / values / np.sqrt(values)
    target_map = np.zeros((kept, u.shape[1]))
    for rows, v in _lifted_sources(sources, lift):
        target_map -= right[rows].T @ (v - source_mean)
    scale = np.sqrt(agreed.std() or 1)
    source_map = np.vstack([left.T @ u, target_mean / scale]).astype(np.float32)
    return Embedding(lift, target_mean, source_mean, target_map.astype(np.float32), source_map, -float(scale))


def _lifted_sources(descriptors: np.ndarray, lift: Lift) -> Iterator[tuple[slice, np.ndarray]]:
    for rows in tiles(len(descriptors), max(1, _LIFTED_BYTES // (4 * lift.depth))):
        v = np.empty((rows.stop - rows.start, lift.depth), np.float32)
        lift_sources(descriptors[rows], lift, v)
        yield rows, v
