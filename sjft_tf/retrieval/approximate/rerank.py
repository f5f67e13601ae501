"""Divergences of proposed pairs by the vectors of exact search, and the lists they make.

Source tile by source tile, so that a descriptor is read and lifted once. Within a tile, targets that propose the same
sources are in one group, and a group is multiplied with all sources that any of its targets proposes: several times as
many products as there are pairs, at the speed of a matrix product.
"""

import queue
from collections.abc import Callable

import numpy as np

from sjft_tf.retrieval.lifting import Lift, lift_sources, lift_targets
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.threads import N_CORES, borrowed, for_each_tile, one_blas_thread
from sjft_tf.retrieval.top_k import keys_of, table_of

_GROUP = 64  # targets
_WHOLE = 0.4  # a group that proposes more of a tile is multiplied with all of it: taking rows out costs more
_LIFTED_BYTES, _LEAST_ROWS = 2**26, 1024  # of the vectors of a tile; a product with fewer is slow

Descriptors = Callable[[np.ndarray], np.ndarray]  # of images at ascending indices


def rerank(
    targets: np.ndarray, candidates: np.ndarray, order: np.ndarray, lift: Lift, sources: Descriptors, *, depth: int
) -> NeighborTable:
    """The `depth` candidates of least divergence of every target image.

    Args:
        targets: `[n, ...]` descriptors.
        candidates: `[n, c]` int64 source indices, ascending in each row, c >= depth.
        order: `[n]` int, the targets so that those with common candidates follow each other; changes time only.
        sources: gives descriptors of source images; asked for distinct candidates in ascending order, each once.

    Returns:
        A table whose divergences are those of `search_exact` but for rounding: products of other shapes add up otherwise.
    """
    ordered = candidates[order]
    keys = np.empty_like(ordered)
    rows = max(_LEAST_ROWS, _LIFTED_BYTES // (4 * lift.depth))
    edges = np.arange(0, int(candidates.max()) + rows + 1, rows)
    bounds = np.array([np.searchsorted(row, edges) for row in ordered])
    v, taken = np.empty((rows, lift.depth), np.float32), queue.SimpleQueue[np.ndarray]()
    for _ in range(N_CORES):
        taken.put(np.empty((int(_WHOLE * rows), lift.depth), np.float32))
    with one_blas_thread():
        u = lift_targets(targets[order], lift)
        for tile, first in enumerate(edges[:-1].tolist()):
            low, high = bounds[:, tile], bounds[:, tile + 1]
            proposed = [ordered[row, low[row] : high[row]] - first for row in range(len(ordered))]
            place = _places(proposed, rows)
            wanted = np.flatnonzero(place >= 0)
            if not len(wanted):
                continue
            lift_sources(sources(wanted + first), lift, v)

            def rank(
                group: slice, low: np.ndarray = low, high: np.ndarray = high, place: np.ndarray = place,
                proposed: list[np.ndarray] = proposed, n_wanted: int = len(wanted),
            ) -> None:  # fmt: skip
                flat = place[np.concatenate(proposed[group])]
                with borrowed(taken) as room:
                    products, columns = _multiplied(u[group], v[:n_wanted], flat, room)
                numbers = high[group] - low[group]
                members = np.repeat(np.arange(len(numbers)), numbers)
                within = np.arange(len(flat)) - np.repeat(np.cumsum(numbers) - numbers - low[group], numbers)
                values = np.maximum(products[members, columns], 0)
                keys[group][members, within] = keys_of(values, ordered[group][members, within])

            for_each_tile(rank, len(ordered), rows=_GROUP)
    table_keys = np.empty_like(keys)
    table_keys[order] = keys
    return table_of(np.sort(table_keys, axis=1)[:, :depth])


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


def _places(proposed: list[np.ndarray], size: int) -> np.ndarray:
    """The rank of each of 0..size-1 among those that are proposed, -1 for the others."""
    marked = np.zeros(size, bool)
    marked[np.concatenate(proposed)] = True
    return np.where(marked, np.cumsum(marked) - 1, -1)


def _multiplied(u: np.ndarray, v: np.ndarray, wanted: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products of `u` with those of `v` that are wanted, and in which column each of `wanted` is."""
    place = _places([wanted], len(v))
    rows = np.flatnonzero(place >= 0)
    if len(rows) > len(room):
        return u @ v.T, wanted
    np.take(v, rows, axis=0, out=room[: len(rows)], mode="clip")
    return u @ room[: len(rows)].T, place[wanted]
