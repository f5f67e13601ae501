"""Exact divergences of proposed pairs, and the lists they make: as `ExactSearch` has them for the same pairs, bit for bit.

A pair costs little arithmetic; what takes time is to bring its two vectors to the processor. So targets which propose the
same sources are put in groups, and a source's vector, once brought, is multiplied with all targets of a group; sources are
visited in blocks that stay near the processor. Products are in float64 with a bound of their error, and where that could
change the rounding to float32, the definition decides.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np

from sjft_tf.retrieval.lifts import Lift
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.ranking import rank_keys, table_of
from sjft_tf.retrieval.tiles import in_threads, tiles

_GROUP = 4  # targets
_NEAR_BYTES = 2**25  # of source vectors near the processor
_LIFTED_BYTES = 2**28  # of vectors in memory, on either side
_SMALL_PRODUCT = 10**6  # multiplications up to which OpenBLAS copies nothing and starts no thread
_UNIT64 = 2.0**-53

Descriptors = Callable[[np.ndarray], np.ndarray]  # of images at ascending indices


@dataclasses.dataclass(frozen=True, eq=False)
class LiftedSources:
    """All source vectors in memory: what saves lifting them at every search.

    Attributes:
        vectors: `[n_source, D']` float64.
        lengths: `[n_source]` float64, theirs.
    """

    vectors: np.ndarray
    lengths: np.ndarray


def rerank(
    targets: np.ndarray,
    candidates: np.ndarray,
    order: np.ndarray,
    lift: Lift,
    sources: Descriptors,
    *,
    max_k: int,
    lifted: LiftedSources | None = None,
) -> NeighborTable:
    """The `max_k` candidates of least divergence of every target image.

    Args:
        targets: `[n, ...]` descriptors.
        candidates: `[n, c]` int64 source indices, ascending in each row, c >= max_k.
        order: `[n]` int, the targets so that those with common candidates follow each other; changes time only.
        lift: the lift of both sides.
        sources: gives descriptors of source images; asked for blocks of distinct candidates in ascending order.
        max_k: neighbors of each target image.
        lifted: the vectors of all sources, if they are in memory.
    """
    pairs = _Pairs(candidates, order)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        work = _Rerank(targets, pairs, lift, pool)
        for part in _blocks(pairs.distinct, lift, sources, targets[:1], lifted):
            work.add(*part)
        divergences = work.divergences(sources)
    return table_of(np.sort(rank_keys(pairs.unsorted(divergences), candidates), axis=1)[:, :max_k])


def near_each_other(points: np.ndarray) -> np.ndarray:
    """An order of points, `[n, d]`, in which neighbors follow each other: halves of halves along the widest axis."""
    parts = [np.arange(len(points))]
    while len(parts[0]) > 2:
        widest = [np.argmax(points[part].var(axis=0)) for part in parts]
        ordered = [
            part[np.argsort(points[part, axis], kind="stable")] for part, axis in zip(parts, widest, strict=True)
        ]
        parts = [half for part in ordered for half in np.array_split(part, 2)]
    return np.concatenate(parts)


class _Pairs:
    """Pairs in the order in which they are evaluated: by group, then source, then target.

    Attributes:
        groups: `[groups, <= 4]` lists of targets.
        sources: `[pairs]` int64; `members`: `[pairs]` int64, positions in the group.
        columns: `[pairs]` int64, positions in `wanted`.
        wanted: int64, the sources of every group after the other's, each once.
        distinct: int64, ascending, all sources.
    """

    def __init__(self, candidates: np.ndarray, order: np.ndarray) -> None:
        self._order, self._shape = order, candidates.shape
        self.groups = [order[part] for part in tiles(len(order), _GROUP)]
        place = np.arange(len(order))[:, None]
        self._span = int(candidates.max()) + 1
        keys = (place // _GROUP * self._span + candidates[order]) * _GROUP + place % _GROUP
        self._sorted = np.argsort(keys, axis=None, kind="stable")  # which makes use of rows that ascend
        keys = keys.ravel()[self._sorted]
        self._keys, self.members = keys // _GROUP, keys % _GROUP
        self.sources = self._keys % self._span
        new = np.diff(self._keys, prepend=-1) > 0
        self.columns, self.wanted = np.cumsum(new) - 1, self.sources[new]
        self.distinct = np.flatnonzero(np.bincount(candidates.ravel()))

    def targets(self, part: np.ndarray | slice) -> np.ndarray:
        """Targets of pairs, `[pairs]` int64."""
        return np.asarray(self._order[self._sorted[part] // self._shape[1]])

    def ranges(self, first: int, stop: int) -> np.ndarray:
        """`[groups, 2]`, each group's pairs with sources in first..stop - 1."""
        starts = np.arange(len(self.groups))[:, None] * self._span
        return np.searchsorted(self._keys, starts + np.minimum([first, stop], self._span))

    def unsorted(self, values: np.ndarray) -> np.ndarray:
        """Values of pairs, in the shape of the candidates."""
        placed = np.empty(self._shape, values.dtype)
        placed.ravel()[self._sorted] = values
        unsorted = np.empty_like(placed)
        unsorted[self._order] = placed
        return unsorted


class _Rerank:
    """Products and error bounds of pairs, gathered block by block."""

    def __init__(self, targets: np.ndarray, pairs: _Pairs, lift: Lift, pool: concurrent.futures.Executor) -> None:
        self._targets, self._pairs, self._lift, self._pool = targets, pairs, lift, pool
        self._products = np.empty(len(pairs.sources))
        self._source_lengths = np.empty(int(pairs.distinct[-1]) + 1)
        self._offsets, self._lengths = np.empty(len(targets)), np.empty(len(targets))
        self._u: list[np.ndarray] | None = None

    def add(self, present: np.ndarray, vectors: np.ndarray, positions: np.ndarray, lengths: np.ndarray) -> None:
        """Multiply the pairs of some sources.

        Args:
            present: their indices, ascending, without any distinct candidate between them left out.
            vectors: `[rows, D']` float64; `positions`: of the sources among them, ascending.
            lengths: `[present]` float64, of their vectors.
        """
        self._source_lengths[present] = lengths
        near = max(1, _NEAR_BYTES // (8 * vectors.shape[1]))
        places = np.zeros(int(present[-1] - present[0]) + 1, np.int64)
        places[present - present[0]] = positions
        for groups, u in self._lifted_targets(vectors.shape[1]):
            for block in tiles(len(present), near):
                ranges = self._pairs.ranges(int(present[block][0]), int(present[block][-1]) + 1)[groups]
                self._multiply(u, ranges, vectors, places, int(present[0]))

    def _lifted_targets(self, length: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Targets of some groups; kept if they all fit."""
        groups = self._pairs.groups
        at_once = max(1, _LIFTED_BYTES // (8 * length * _GROUP))
        for part in tiles(len(groups), at_once):
            if self._u is None or at_once < len(groups):
                self._u = [self._lift_group(group) for group in groups[part]]
            yield part, self._u

    def _lift_group(self, group: np.ndarray) -> np.ndarray:
        u, self._offsets[group] = self._lift.targets(self._targets[group])
        self._lengths[group] = np.sqrt(np.vecdot(u, u))
        return u

    def _multiply(
        self, u: list[np.ndarray], ranges: np.ndarray, vectors: np.ndarray, places: np.ndarray, first: int
    ) -> None:
        """Products of the pairs in `ranges`, one for each group in `u`."""
        pairs, rows = self._pairs, max(1, _SMALL_PRODUCT // (_GROUP * vectors.shape[1]))

        def multiply(part: slice) -> None:
            room = np.empty((rows, vectors.shape[1]))
            for group in range(part.start, part.stop):
                start, stop = ranges[group]
                if start == stop:
                    continue
                columns = pairs.columns[start:stop]
                wanted = places[pairs.wanted[columns[0] : columns[-1] + 1] - first]
                products = np.empty((len(u[group]), len(wanted)))
                for few in tiles(len(wanted), rows):
                    near = np.take(vectors, wanted[few], axis=0, out=room[: few.stop - few.start], mode="clip")
                    np.matmul(u[group], near.T, out=products[:, few])
                self._products[start:stop] = products[pairs.members[start:stop], columns - columns[0]]

        in_threads(self._pool, multiply, len(u))

    def divergences(self, sources: Descriptors) -> np.ndarray:
        """Of all pairs, `[pairs]` float32, once every source was added."""
        lengths, slack = self._lengths, (self._lift_length() + 8) * self._lift.rounding * _UNIT64
        offset_errors = self._lift.offset_errors(lengths, slack)
        values = np.empty(len(self._products), np.float32)
        uncertain = []
        for part in tiles(len(values), 2**16):
            targets = self._pairs.targets(part)
            estimates = self._offsets[targets] - self._products[part]
            errors = slack * lengths[targets] * self._source_lengths[self._pairs.sources[part]] + offset_errors[targets]
            values[part] = estimates - errors
            uncertain.append(part.start + np.flatnonzero(values[part] != (estimates + errors).astype(np.float32)))
        self._decide(np.concatenate(uncertain), values, sources)
        return values

    def _lift_length(self) -> int:
        assert self._u is not None
        return int(self._u[0].shape[1])

    def _decide(self, uncertain: np.ndarray, values: np.ndarray, sources: Descriptors) -> None:
        """Evaluate pairs by definition."""
        ordered = uncertain[np.argsort(self._pairs.sources[uncertain], kind="stable")]
        at = self._pairs.sources[ordered]
        for part in tiles(len(ordered), 4096):
            distinct, places = np.unique(at[part], return_inverse=True)
            descriptors, targets = sources(distinct), self._pairs.targets(ordered[part])
            for target in np.unique(targets):
                mine = np.flatnonzero(targets == target)
                direct = self._lift.direct(self._targets[target : target + 1], descriptors[places[mine]])[0]
                values[ordered[part][mine]] = direct


def _blocks(
    distinct: np.ndarray, lift: Lift, sources: Descriptors, example: np.ndarray, lifted: LiftedSources | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The arguments of `_Rerank.add` for all sources."""
    if lifted is not None:
        yield distinct, lifted.vectors, distinct, lifted.lengths[distinct]
        return
    length = lift.targets(example)[0].shape[1]
    for part in tiles(len(distinct), max(1, _LIFTED_BYTES // (8 * length))):
        vectors = lift.sources(sources(distinct[part]))
        yield distinct[part], vectors, np.arange(len(vectors)), np.sqrt(np.vecdot(vectors, vectors))
