"""Exact search: the nearest source images of every target image, at nearly the speed of a matrix product.

A tile of the source is lifted, multiplied with the lifted targets, and what may be among a target's nearest is kept: all
by one thread, so that none waits for another, and BLAS is held to one thread meanwhile.
Tiles begin at multiples of their size in the source, have one shape, and an image lies at the same place of its tile
whatever block it came in. So one machine and one version of NumPy give one table, however the source is cut, resumed,
ordered or spread over threads and workers.

Promise: a divergence is `own(t) + own(s) - <a, b>` in float32, own being an image's divergence from the target's mean
histogram and mean logarithm. It is wrong by at most 1e-5 of itself or 1e-6 of `own(t) + own(s)`, whichever is more, and is
never below 0. So a source image that was left out is nearer than one in the list by no more than twice that.
"""

import functools
import logging
import queue
import threading
from typing import Literal

import numpy as np

from sjft_tf.errors import InputError, check_at_least
from sjft_tf.retrieval.divergence import SMOOTHING, Smoothing
from sjft_tf.retrieval.lifting import lift_targets
from sjft_tf.retrieval.measures import Divergence, HistogramMeasure, Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.threads import N_CORES, borrowed, for_each_tile, one_blas_thread, tiles
from sjft_tf.retrieval.top_k import TopK, table_of

_logger = logging.getLogger(__name__)

Hubness = Literal["none", "csls"]
_NEAREST_TARGETS = 10  # of a source image, by which its hubness is known
_SOURCE_ROWS, _SOURCE_BYTES = 2048, 2**28  # the most images of a source tile, and bytes of their vectors
_TARGET_ROWS = 2048  # multiplied at a time
_RANKED_ROWS = 256  # at a time


def search_exact(
    target_counts: np.ndarray,
    source_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    depth: int,
    divergence: Divergence = "kl",
    smoothing: Smoothing = SMOOTHING,
    hubness: Hubness = "none",
    memory_gb: float = 4.0,
    block_rows: int = 65536,
) -> NeighborTable:
    """The `depth` source images of least divergence of every target image, see `ExactSearch`.

    Args:
        target_counts: `[n_target, D, bins]` uint16 descriptors.
        source_counts: `[n_source, D, bins]` uint16 descriptors; whatever is sliced by rows, such as `np.memmap`.
        channel_weights, divergence, smoothing: as in `HistogramMeasure`.
        depth, hubness, memory_gb: as in `ExactSearch`.
        block_rows: source images asked for at a time; without influence on the table.

    Returns:
        The table; how exact it is stands at the head of `sjft_tf.retrieval.exact`.

    Raises:
        InputError: as by `ExactSearch`, or `block_rows` is out of range.
    """
    check_at_least(1, block_rows=block_rows)
    measure = HistogramMeasure(channel_weights, divergence, smoothing)
    search = ExactSearch(target_counts, measure, depth=depth, hubness=hubness, memory_gb=memory_gb)
    for block in tiles(len(source_counts), block_rows):
        search.add(block.start, source_counts[block])
    return search.table()


class ExactSearch:
    """A search through a source that arrives in blocks, in any order: `search_exact` with the loop outside.

    Args:
        targets: `[n_target, ...]` descriptors.
        measure: by what they are compared.
        depth: neighbors of each target image; a smaller source makes a narrower table, which is logged.
        hubness: "csls" takes half of a source image's mean divergence to its 10 nearest targets off; see `NeighborTable`.
        memory_gb: memory that the search may take beside the descriptors, in 10^9 bytes; without influence on the table.
        resident_gb: what of it is taken already.

    Raises:
        InputError: the descriptors do not belong to the measure, a value is out of range, or the memory does not suffice.
    """

    def __init__(
        self,
        targets: np.ndarray,
        measure: Measure,
        *,
        depth: int,
        hubness: Hubness = "none",
        memory_gb: float = 4.0,
        resident_gb: float = 0.0,
    ) -> None:
        check_depth(depth, hubness)
        measure.check(targets, "target", targets)
        self._targets, self._measure, self._depth, self._hubness = targets, measure, depth, hubness
        self._lift = measure.lift(targets)
        length = self._lift.depth
        self._tile_rows = min(_SOURCE_ROWS, 2 ** int(np.log2(_SOURCE_BYTES / (4 * length))))
        self._scored_rows = len(targets) if hubness == "csls" else min(len(targets), _TARGET_ROWS)
        self._group_rows, n_threads = self._fitting(memory_gb, resident_gb)
        self._top = TopK(len(targets), depth, self._tile_rows, least=0 if hubness == "none" else -np.inf)
        self._lifted: tuple[int, np.ndarray] = -1, np.empty((0, length), np.float32)
        self._rooms: queue.SimpleQueue[tuple[np.ndarray, np.ndarray]] = queue.SimpleQueue()  # of the threads
        for _ in range(n_threads):
            scores = np.empty((self._scored_rows, self._tile_rows), np.float32)
            self._rooms.put((np.zeros((self._tile_rows, length), np.float32), scores))
        self._locks = [threading.Lock() for _ in tiles(len(targets), _RANKED_ROWS)]

    def add(self, start: int, sources: np.ndarray) -> None:
        """Search one block; fastest where blocks begin at multiples of a power of two.

        Args:
            start: index in the source of the block's first image; no image may be added twice.
            sources: `[rows, ...]` descriptors.

        Raises:
            InputError: the descriptors do not belong to the target's; the search is as it was.
        """
        self._measure.check(sources, "source", self._targets)
        touched = start % self._tile_rows + len(sources)  # from where the first tile begins
        with one_blas_thread():
            for group in tiles(len(self._targets), self._group_rows):
                if self._lifted[0] != group.start:  # all of them are lifted once only
                    self._lifted = group.start, lift_targets(self._targets[group], self._lift)
                search = functools.partial(self._search, *self._lifted, start, sources)
                for_each_tile(search, touched, rows=self._tile_rows)

    def keys(self) -> np.ndarray:
        """The lists so far, `[n_target, <= depth]` int64, see `top_k`: what `resume` takes."""
        return self._top.sorted()

    def resume(self, keys: np.ndarray) -> None:
        """Resume from the lists of another search."""
        self._top.resume(keys)

    def table(self) -> NeighborTable:
        """The neighbors among all images added so far.

        Raises:
            InputError: nothing was added.
        """
        keys = self.keys()
        width = keys.shape[1]
        if width == 0:
            raise InputError("the source has no images; a search needs at least one")
        if width < self._depth:
            _logger.warning(
                "depth is %d; the source has only %d images, so every list holds them all", self._depth, width
            )
        return table_of(keys, hubness=self._hubness)

    def _search(self, first_row: int, u: np.ndarray, start: int, sources: np.ndarray, tile: slice) -> None:
        """Rank the images of one tile of the block that begins at `start`, for the targets that `u` is of."""
        before = start % self._tile_rows
        part = slice(max(tile.start - before, 0), tile.stop - before)
        columns = slice(part.start + before - tile.start, tile.stop - tile.start)
        with borrowed(self._rooms) as (v, scores):
            self._lift.sources(sources[part], v[columns])
            for group in tiles(len(u), self._scored_rows):
                near = scores[: group.stop - group.start]
                for rows in tiles(len(near), _TARGET_ROWS):
                    np.matmul(u[group][rows], v.T, out=near[rows])
                if self._hubness == "csls":  # of all columns, since the order of a sum depends on the shape
                    np.maximum(near, 0, out=near)
                    nearest = min(_NEAREST_TARGETS, len(near))
                    near -= np.partition(near, nearest - 1, axis=0)[:nearest].mean(axis=0) / 2
                near = near[:, columns]
                for rows in tiles(len(near), _RANKED_ROWS):
                    ranked = slice(first_row + group.start + rows.start, first_row + group.start + rows.stop)
                    with self._locks[ranked.start // _RANKED_ROWS]:
                        self._top.offer(ranked, near[rows], start + part.start)

    def _fitting(self, memory_gb: float, resident_gb: float) -> tuple[int, int]:
        """Target images that are lifted at a time, and threads, so that a search stays within its memory."""
        n, length, size = len(self._targets), self._lift.depth, self._tile_rows
        free = 1e9 * (memory_gb - resident_gb) - TopK.bytes_for(n, self._depth, size)
        room, each = 4 * size * (length + self._scored_rows), 8 * length  # of a thread, of a lifted target image
        if free >= room + n * each:
            return n, min(N_CORES, int((free - n * each) // room))
        rows = int((free - room) // each) // _TARGET_ROWS * _TARGET_ROWS
        if rows <= 0 or self._hubness == "csls":
            least = n if self._hubness == "csls" else min(n, _TARGET_ROWS)
            raise InputError(
                f"retrieval.memory_gb is {memory_gb:g}; searching {self._depth:,} neighbors of {n:,} target images with "
                f"{length:,} numbers each{' by hubness csls' if self._hubness == 'csls' else ''} needs at least "
                f"{memory_gb + (room + least * each - free) / 1e9:.2g}"
            )
        return rows, 1


def check_depth(depth: int, hubness: str = "none") -> None:
    """Raise InputError unless so many neighbors can be asked for, in that order."""
    check_at_least(1, depth=depth)
    if hubness not in ("none", "csls"):
        raise InputError(f'hubness is {hubness!r}; it must be "none" or "csls"')
