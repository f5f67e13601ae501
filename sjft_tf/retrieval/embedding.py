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

from sjft_tf.retrieval.lifts import Lift
from sjft_tf.retrieval.tiles import tiles

_LIFTED_BYTES = 2**26  # of source vectors at a time
_FAINT = 1e-5  # singular values below so many times the first are rounding errors of float32


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """Linear maps of both sides, so that `<targets(u), sources(v)>` is about `<u, v>` and a constant for each target.

    Attributes:
        target_map: `[d, D']` float32; `source_map`: likewise.
        target_mean: `[D']` float64, mean of u; `source_mean`: mean of v.
        common_scale: `[]` float64 > 0, root mean square of `<target_mean, v - source_mean>`.
    """

    target_map: np.ndarray
    source_map: np.ndarray
    target_mean: np.ndarray
    source_mean: np.ndarray
    common_scale: np.ndarray

    @property
    def dimensions(self) -> int:
        """Numbers in an embedded vector, the common one included."""
        return len(self.source_map) + 1

    def targets(self, u: np.ndarray) -> np.ndarray:
        """Embedded targets, `[n, d + 1]` float32, of lifted ones, `[n, D']` float64."""
        embedded = np.empty((len(u), self.dimensions), np.float32)
        embedded[:, :-1] = (u - self.target_mean).astype(np.float32) @ self.target_map.T
        embedded[:, -1] = np.sqrt(self.common_scale)
        return embedded

    def sources(self, v: np.ndarray) -> np.ndarray:
        """Embedded sources, `[m, d + 1]` float32, of lifted ones, `[m, D']` float64."""
        centered = v - self.source_mean
        embedded = np.empty((len(v), self.dimensions), np.float32)
        embedded[:, :-1] = centered.astype(np.float32) @ self.source_map.T
        embedded[:, -1] = centered @ self.target_mean / np.sqrt(self.common_scale)
        return embedded


def fit_embedding(targets: np.ndarray, sources: np.ndarray, lift: Lift, *, dimensions: int) -> Embedding:
    """The embedding of least squared error over all pairs of a sample.

    With singular vectors `A diag(s) B^T` of `M = (u - mean u)^T (v - mean v)`, a source becomes `A^T (u - mean u) v` and
    a target, by least squares, `diag(1 / s) B^T (v - mean v) u`; both are scaled to equal length.

    Args:
        targets: descriptors of a sample of the targets, or of all.
        sources: descriptors of a sample of the sources.
        lift: the lift of both.
        dimensions: numbers to keep; fewer are kept where the sample has no more.
    """
    u, _ = lift.targets(targets)
    target_mean = u.mean(axis=0)
    centered = (u - target_mean).astype(np.float32)
    products = np.empty((len(u), len(sources)))
    common, source_mean = np.empty(len(sources)), np.zeros(u.shape[1])
    for rows, v in _lifted(sources, lift, u.shape[1]):
        products[:, rows] = centered @ v.astype(np.float32).T
        common[rows] = v @ target_mean
        source_mean += v.sum(axis=0) / len(sources)
    products -= products.mean(axis=1, keepdims=True)
    left, values, right = _singular(products, dimensions)
    weights = right / np.sqrt(values)
    target_map = np.zeros((len(values), u.shape[1]))
    for rows, v in _lifted(sources, lift, u.shape[1]):
        target_map += weights[rows].T @ (v - source_mean)
    return Embedding(
        target_map=target_map.astype(np.float32),
        source_map=((left / np.sqrt(values)).T @ centered).astype(np.float32),
        target_mean=target_mean,
        source_mean=source_mean,
        common_scale=np.array(common.std() or 1.0),
    )


def _lifted(sources: np.ndarray, lift: Lift, length: int) -> Iterator[tuple[slice, np.ndarray]]:
    for rows in tiles(len(sources), max(1, _LIFTED_BYTES // (8 * length))):
        yield rows, lift.sources(sources[rows])


def _singular(matrix: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first singular vectors `[n, d]`, values `[d]`, and vectors `[m, d]` of a matrix `[n, m]`."""
    if len(matrix) > matrix.shape[1]:
        right, values, left = _singular(matrix.T, dimensions)
        return left, values, right
    squares, left = np.linalg.eigh(matrix @ matrix.T)
    squares, left = squares[::-1], left[:, ::-1]
    kept = min(dimensions, int((squares > squares[0] * _FAINT**2).sum()))
    values, left = np.sqrt(squares[:kept]), left[:, :kept]
    return left, values, matrix.T @ left / values
