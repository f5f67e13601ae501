"""Exact search: the nearest source images of every target image, at nearly the speed of a matrix product.

Three steps, each only where the one before could not decide, give the ranking of a direct evaluation of Eq. (1):

1. A float32 matrix product, made optimistic by a bound of its own rounding error, says which pairs could be in the table.
2. Those are evaluated in float64.
3. Where even that error could change the rounding to float32, the definition decides.

So the table depends neither on the sizes of blocks and tiles, nor on the order in which the source arrives, nor on BLAS.
"""

import concurrent.futures
import logging
import os

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.candidates import kth_at_most
from sjft_tf.retrieval.checks import check_max_k
from sjft_tf.retrieval.divergence import EPSILON
from sjft_tf.retrieval.lifted import LiftedTargets
from sjft_tf.retrieval.measures import Measure, SymmetricKL
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.ranking import divergences_of, rank_keys, table_of
from sjft_tf.retrieval.tiles import in_threads, tiles

_logger = logging.getLogger(__name__)


def search_exact(
    target_counts: np.ndarray,
    source_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    max_k: int,
    epsilon: float = EPSILON,
    tile_rows: int = 1024,
    block_rows: int = 65536,
    progress: Progress | None = None,
) -> NeighborTable:
    """The `max_k` source images of least divergence of every target image.

    Args:
        target_counts: `[n_target, D, bins]` uint16 descriptors.
        source_counts: `[n_source, D, bins]` uint16 descriptors; whatever is sliced by rows, such as `np.memmap`.
        channel_weights: `[D]` float, 1 / (channels in the channel's group).
        max_k: neighbors of each target image; a smaller source makes a narrower table, which is logged.
        epsilon: as in `symmetric_kl`.
        tile_rows: images of either side whose vectors are in memory at a time, about 30 D bins bytes each.
        block_rows: source images searched at a time; their products take `4 tile_rows block_rows` bytes.
        progress: told of the source images searched.

    Returns:
        Row i holds the first `max_k` of `np.argsort(symmetric_kl(...)[i].astype(np.float32), kind="stable")`, whatever
        `tile_rows` and `block_rows`.

    Raises:
        InputError: descriptors or weights do not belong together, or a value is out of range.
    """
    measure = SymmetricKL(channel_weights, epsilon)
    search = ExactSearch(target_counts, measure, max_k=max_k, tile_rows=tile_rows)
    for block in tiles(len(source_counts), block_rows):
        search.add(block.start, source_counts[block])
        if progress:
            progress(block.stop, len(source_counts))
    return search.table()


class ExactSearch:
    """A search through a source that arrives in blocks, in any order: `search_exact` with the loop outside.

    What it holds is exact for what has been added, so that the order and the sizes of the blocks change nothing.

    Args:
        targets: `[n_target, ...]` descriptors.
        measure: by what they are compared.
        max_k: neighbors of each target image.
        tile_rows: images of either side whose vectors are in memory at a time.

    Attributes:
        keys: `[n_target, <= max_k]` int64, the lists so far (see `ranking`); set by who goes on with another's lists.

    Raises:
        InputError: the descriptors do not belong to the measure, or a value is out of range.
    """

    def __init__(self, targets: np.ndarray, measure: Measure, *, max_k: int, tile_rows: int = 1024) -> None:
        check_max_k(max_k)
        measure.check_targets(targets)
        self._targets, self._measure = targets, measure
        self._lift = measure.lift(targets)
        self._max_k, self._tile_rows = max_k, tile_rows
        self.keys = np.empty((len(targets), 0), np.int64)
        self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
        self._whole: LiftedTargets | None = None

    def add(self, start: int, sources: np.ndarray) -> None:
        """Search one block.

        Args:
            start: index in the source of the block's first image; no image may be added twice.
            sources: `[rows, ...]` descriptors.

        Raises:
            InputError: the descriptors do not belong to the target's.
        """
        self._measure.check_sources(sources, self._targets)
        parts = []
        for tile in tiles(len(self._targets), self._tile_rows):
            parts.append(self._search(self._lifted(tile), start, sources, self.keys[tile]))
        self.keys = np.concatenate(parts)

    def table(self) -> NeighborTable:
        """The neighbors among all images added so far.

        Raises:
            InputError: nothing was added.
        """
        width = self.keys.shape[1]
        if width == 0:
            raise InputError("the source has no images; a search needs at least one")
        if width < self._max_k:
            _logger.warning(
                "max_k is %d; the source has only %d images, so every list holds them all", self._max_k, width
            )
        return table_of(self.keys)

    def _lifted(self, tile: slice) -> LiftedTargets:
        """Some of the target images, lifted; all of them once only."""
        if self._whole:
            return self._whole
        lifted = LiftedTargets(self._targets[tile], self._lift, source_rows=self._tile_rows, pool=self._pool)
        if tile.stop - tile.start == len(self._targets):
            self._whole = lifted
        return lifted

    def _search(self, targets: LiftedTargets, start: int, sources: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """The lists of some target images after one more block."""
        scores = np.empty((len(lists), len(sources)), np.float32)
        errors = targets.scores(sources, out=scores)
        limits = np.full(len(lists), np.inf, np.float32)
        if lists.shape[1] == self._max_k:
            limits = targets.ceilings(divergences_of(lists[:, -1]))
        kth = np.empty(len(lists))

        def find(rows: slice) -> None:
            for row in range(rows.start, rows.stop):
                kth[row] = kth_at_most(scores[row], errors * targets.lengths[row], self._max_k, limits[row])

        in_threads(self._pool, find, len(lists))
        limits = np.minimum(limits, targets.ceilings(targets.above(kth)))
        columns = [np.empty(0, np.int32)] * len(lists)

        def choose(rows: slice) -> None:
            for row in range(rows.start, rows.stop):
                columns[row] = np.flatnonzero(scores[row] <= limits[row]).astype(np.int32)

        in_threads(self._pool, choose, len(lists))
        width = min(self._max_k, lists.shape[1] + len(sources))
        numbers = np.array([len(row) for row in columns])
        rows = np.repeat(np.arange(len(lists), dtype=np.int32), numbers)
        divergences = targets.divergences(sources, rows, np.concatenate(columns))
        return self._merge(lists, start, columns, np.split(divergences, np.cumsum(numbers)[:-1]), width)

    def _merge(
        self, lists: np.ndarray, start: int, columns: list[np.ndarray], divergences: list[np.ndarray], width: int
    ) -> np.ndarray:
        """The lists with the candidates in them."""
        merged = np.empty((len(lists), width), np.int64)

        def merge(rows: slice) -> None:
            for row in range(rows.start, rows.stop):
                new = rank_keys(divergences[row], start + columns[row])
                merged[row] = np.sort(np.concatenate([lists[row], new]))[:width]

        in_threads(self._pool, merge, len(lists))
        return merged
