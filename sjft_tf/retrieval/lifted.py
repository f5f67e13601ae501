"""Divergences of many pairs from their lifted vectors, each with a bound of what rounding did to it.

The divergence is `offset - <u, v>`. A sum of n products in any order is wrong by at most about n times the unit
roundoff times `|u| |v|` (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1): a bound that holds
for every BLAS, number of threads and tile size, and that float32 as well as float64 can state of its own products.
"""

import concurrent.futures

import numpy as np

from sjft_tf.retrieval.lifts import Lift
from sjft_tf.retrieval.tiles import in_threads, tiles

_UNIT32, _UNIT64 = 2.0**-24, 2.0**-53
_WIDER = 4  # float32 vectors in memory at a time, for each in float64: BLAS packs the targets anew for every tile
_GROUP = 16  # target images whose pairs are evaluated together
_MULTIPLIED = 10**6  # products at a time; up to so many, OpenBLAS leaves the other cores to our threads
_SKETCH = 16  # numbers of a target image by which similar ones are found
_SAFE_SQUARES = (1e-20, 1e30)  # of lengths whose float32 arithmetic neither under- nor overflows


class LiftedTargets:
    """Some target images, lifted, to be compared with any number of source images.

    Args:
        descriptors: `[n, ...]`.
        lift: the lift of both sides; what comes out depends on its `direct` only.
        source_rows: source images whose vectors are in memory at a time in float64, four times as many in float32.
        pool: threads for the work that BLAS does not spread over the cores.

    Attributes:
        lengths: `[n]` float64, of the vectors `u`.
    """

    def __init__(
        self, descriptors: np.ndarray, lift: Lift, *, source_rows: int, pool: concurrent.futures.Executor
    ) -> None:
        self._descriptors, self._lift, self._pool, self._source_rows = descriptors, lift, pool, source_rows
        u, self._offsets = lift.targets(descriptors)
        self.lengths = _lengths(u)
        self._left = -np.hstack([u, self.lengths[:, None]]).astype(np.float32)
        order = similar_together(self._left, _GROUP)
        self._u, self._places = u[order], np.argsort(order)
        terms = u.shape[1] + 8  # a few more than there are products, for the rounding of the factors themselves
        self._slack32, self._slack64 = 1.1 * terms * _UNIT32, terms * lift.rounding * _UNIT64
        self._offset_errors = lift.offset_errors(self.lengths, self._slack64)

    def scores(self, sources: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the scores of source descriptors, `[m, ...]`, to `out`, `[n, m]` float32.

        No score is above the pair's divergence minus the target's offset: one product more, of the lengths, takes the
        bound of the error off. Within a row, scores ascend nearly as the divergences do.

        Returns:
            `[m]` float32; times a target's length it bounds how far below they are.
        """
        errors = np.empty(len(sources), np.float32)
        for tile in tiles(len(sources), _WIDER * self._source_rows):
            right = np.empty((tile.stop - tile.start, self._left.shape[1]), np.float32)

            def lift(part: slice, right: np.ndarray = right, descriptors: np.ndarray = sources[tile]) -> None:
                lengths = _lengths(self._lift.sources(descriptors[part], out=right[part, :-1]))
                right[part, -1] = self._slack32 * lengths + self._lift.errors32(lengths)

            in_threads(self._pool, lift, len(right))
            np.matmul(self._left, right.T, out=out[:, tile])
            errors[tile] = 2.1 * right[:, -1]
        return errors

    def ceilings(self, divergences: np.ndarray) -> np.ndarray:
        """The scores, `[n]` float32, that only pairs of more than these divergences, `[n]` float32, exceed."""
        above = np.nextafter(divergences, np.float32(np.inf)).astype(np.float64)
        scores = above - self._offsets + self._offset_errors
        return np.nextafter(scores.astype(np.float32), np.float32(np.inf))

    def above(self, scores: np.ndarray) -> np.ndarray:
        """Divergences, `[n]` float32, that are not below those of pairs which differ by these scores, `[n]`."""
        divergences = (self._offsets + scores + self._offset_errors).astype(np.float32)
        return np.nextafter(divergences, np.float32(np.inf))

    def divergences(self, sources: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """`lift.direct` of the pairs (rows[i], columns[i]), rounded to float32.

        Args:
            sources: `[m, ...]` descriptors.
            rows: `[pairs]` int in 0..n-1; fastest where similar target images have the same source images.
            columns: `[pairs]` int in 0..m-1.
        """
        values = np.empty(len(rows), np.float32)
        numbers = columns // self._source_rows
        for tile, pairs in zip(
            tiles(len(sources), self._source_rows),
            _by_number(numbers, -(-len(sources) // self._source_rows)),
            strict=True,
        ):
            if len(pairs):
                values[pairs] = self._divergences(sources[tile], rows[pairs], columns[pairs] - tile.start)
        return values

    def _divergences(self, sources: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The divergences of pairs with at most as many source images as are in memory at a time."""
        present = np.bincount(columns, minlength=len(sources)) > 0
        sources, columns = sources[present], (np.cumsum(present) - 1)[columns]
        estimates, errors = self._estimates(sources, rows, columns)
        values, others = (estimates - errors).astype(np.float32), (estimates + errors).astype(np.float32)
        uncertain = np.flatnonzero(values != others)
        by_row = _by_number(rows[uncertain], len(self._u))

        def define(part: slice) -> None:
            for row in range(part.start, part.stop):
                if len(pairs := uncertain[by_row[row]]):
                    near = sources[columns[pairs]]
                    values[pairs] = self._lift.direct(self._descriptors[row : row + 1], near)[0]

        in_threads(self._pool, define, len(by_row))
        return values

    def _estimates(self, sources: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Divergences of pairs by inner products in float64, and bounds of their errors."""
        v, lengths, products = np.empty((len(sources), self._u.shape[1])), np.empty(len(sources)), np.empty(len(rows))
        places = self._places[rows]
        by_group = _by_number(places // _GROUP, -(-len(self._u) // _GROUP))

        def lift(part: slice) -> None:
            lengths[part] = _lengths(self._lift.sources(sources[part], out=v[part]))

        def multiply(groups: slice) -> None:
            for group in range(groups.start, groups.stop):
                pairs = by_group[group]
                needed = np.bincount(columns[pairs], minlength=len(v)) > 0
                start = group * _GROUP
                block = self._multiplied(self._u[start : start + _GROUP], v, np.flatnonzero(needed))
                products[pairs] = block[(np.cumsum(needed) - 1)[columns[pairs]], places[pairs] - start]

        in_threads(self._pool, lift, len(v))
        in_threads(self._pool, multiply, len(by_group), rows=4)
        errors = self._slack64 * self.lengths[rows] * lengths[columns] + self._offset_errors[rows]
        return self._offsets[rows] - products, errors

    @staticmethod
    def _multiplied(u: np.ndarray, v: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """Inner products of some of the vectors `v` with all of `u`, `[needed, u]`."""
        block = np.empty((len(needed), len(u)))
        room = np.empty((max(1, _MULTIPLIED // u.size), v.shape[1]))
        for part in tiles(len(needed), len(room)):
            near = np.take(v, needed[part], axis=0, out=room[: part.stop - part.start], mode="clip")
            np.matmul(near, u.T, out=block[part])
        return block


def similar_together(vectors: np.ndarray, group: int) -> np.ndarray:
    """An order of vectors, `[n, d]` float32, in which each `group` from the first on are similar to each other.

    Halves are halved along the direction in which they are longest, in a sketch of the space that keeps the longest.
    """
    centered = vectors - vectors.mean(axis=0)
    probe = np.random.default_rng(0).standard_normal((vectors.shape[1], _SKETCH), np.float32)
    sketch = centered @ np.linalg.qr(centered.T @ (centered @ probe))[0]

    def halved(members: np.ndarray) -> list[np.ndarray]:
        if len(members) <= group:
            return [members]
        points = sketch[members] - sketch[members].mean(axis=0)
        direction = np.linalg.svd(points, full_matrices=False)[2][0]
        members = members[np.argsort(points @ direction, kind="stable")]
        half = -(-len(members) // (2 * group)) * group
        return halved(members[:half]) + halved(members[half:])

    return np.concatenate(halved(np.arange(len(vectors))))


def _by_number(numbers: np.ndarray, n: int) -> list[np.ndarray]:
    """Where each of the numbers 0..n-1 is."""
    order = np.argsort(numbers.astype(np.min_scalar_type(n)), kind="stable")  # small integers are sorted fast
    return np.split(order, np.cumsum(np.bincount(numbers, minlength=n))[:-1])


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths of `[n, d]` vectors, float64."""
    with np.errstate(over="ignore"):
        squares = np.vecdot(vectors, vectors).astype(np.float64)
    low, high = _SAFE_SQUARES
    unsafe = ~((squares > low) & (squares < high))
    if unsafe.any():
        squares[unsafe] = np.square(vectors[unsafe], dtype=np.float64).sum(axis=1)
    return np.sqrt(squares)
