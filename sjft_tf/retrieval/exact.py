"""Exact search: the nearest source images of every target image, at nearly the speed of a matrix product.

Three steps, each only where the one before could not decide, give the ranking of a direct evaluation of Eq. (1):

1. A float32 matrix product, made optimistic by a bound of its own rounding error, says which pairs could be in the table.
2. Those are evaluated in float64.
3. Where even that error could change the rounding to float32, `symmetric_kl` decides.

So the table depends neither on the sizes of blocks and tiles, nor on the order in which the source arrives, nor on BLAS.
"""

import concurrent.futures
import logging
import os

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.checks import check_settings, check_source, check_weights, map_sizes
from sjft_tf.retrieval.divergence import EPSILON
from sjft_tf.retrieval.lifted import Lift, LiftedTargets
from sjft_tf.retrieval.neighbor_table import NeighborTable
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
        block_rows: source images searched at a time; their products take `5 tile_rows block_rows` bytes.
        progress: told of the source images searched.

    Returns:
        Row i holds the first `max_k` of `np.argsort(symmetric_kl(...)[i].astype(np.float32), kind="stable")`, whatever
        `tile_rows` and `block_rows`.

    Raises:
        InputError: descriptors or weights do not belong together, or a value is out of range.
    """
    search = ExactSearch(target_counts, channel_weights, max_k=max_k, epsilon=epsilon, tile_rows=tile_rows)
    for block in tiles(len(source_counts), block_rows):
        search.add(block.start, source_counts[block])
        if progress:
            progress(block.stop, len(source_counts))
    return search.table()


class ExactSearch:
    """A search through a source that arrives in blocks, in any order: `search_exact` with the loop outside.

    What it holds is exact for what has been added, so that the order and the sizes of the blocks change nothing.

    Args:
        target_counts: `[n_target, D, bins]` uint16 descriptors.
        channel_weights: as in `search_exact`; so are `max_k`, `epsilon` and `tile_rows`.

    Raises:
        InputError: descriptors or weights do not belong together, or a value is out of range.
    """

    def __init__(
        self,
        target_counts: np.ndarray,
        channel_weights: np.ndarray,
        *,
        max_k: int,
        epsilon: float = EPSILON,
        tile_rows: int = 1024,
    ) -> None:
        check_settings(max_k, epsilon)
        n_channels = len(map_sizes(target_counts, "target"))
        weights = np.asarray(channel_weights, np.float64)
        check_weights(weights, n_channels)
        self._counts = target_counts
        self._lift = Lift.short(target_counts, weights, epsilon)
        self._max_k, self._tile_rows = max_k, tile_rows
        self._lists = np.empty((len(target_counts), 0), np.int64)
        self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())

    def add(self, start: int, counts: np.ndarray) -> None:
        """Search one block.

        Args:
            start: index in the source of the block's first image; no image may be added twice.
            counts: `[rows, D, bins]` uint16 descriptors.

        Raises:
            InputError: the descriptors do not belong to the target's.
        """
        check_source(counts, self._counts)
        parts = []
        for tile in tiles(len(self._counts), self._tile_rows):
            targets = LiftedTargets(self._counts[tile], self._lift, source_rows=self._tile_rows, pool=self._pool)
            parts.append(self._search(targets, start, counts, self._lists[tile]))
        self._lists = np.concatenate(parts)

    def table(self) -> NeighborTable:
        """The neighbors among all images added so far.

        Raises:
            InputError: nothing was added.
        """
        width = self._lists.shape[1]
        if width == 0:
            raise InputError("the source has no images; a search needs at least one")
        if width < self._max_k:
            _logger.warning(
                "max_k is %d; the source has only %d images, so every list holds them all", self._max_k, width
            )
        return NeighborTable((self._lists & 0xFFFFFFFF).astype(np.int32), _divergences(self._lists))

    def _search(self, targets: LiftedTargets, start: int, counts: np.ndarray, lists: np.ndarray) -> np.ndarray:
        """The lists of some target images after one more block."""
        scores = np.empty((len(lists), len(counts)), np.float32)
        for tile in tiles(len(counts), self._tile_rows):
            targets.scores(counts[tile], out=scores[:, tile])
        limits = self._kth_smallest(scores)
        if lists.shape[1] == self._max_k:
            limits = np.minimum(limits, targets.ceilings(_divergences(lists[:, -1])))
        while (candidates := scores <= limits[:, None]).any():
            self._evaluate(targets, counts, candidates, scores)
            lists = self._merge(lists, start, candidates, scores)
            scores[candidates] = np.nan
            limits = targets.ceilings(_divergences(lists[:, -1]))
        return lists

    def _kth_smallest(self, scores: np.ndarray) -> np.ndarray:
        """The `max_k`-th smallest score of each row, or infinity."""
        smallest = np.full(len(scores), np.inf, np.float32)

        def find(rows: slice) -> None:
            smallest[rows] = np.partition(scores[rows], self._max_k - 1, axis=1)[:, self._max_k - 1]

        if scores.shape[1] > self._max_k:
            in_threads(self._pool, find, len(scores))
        return smallest

    def _evaluate(self, targets: LiftedTargets, counts: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
        """Put divergences in the place of the candidates' scores."""
        for tile in tiles(len(counts), self._tile_rows):
            rows, columns = np.nonzero(candidates[:, tile])
            if len(rows):
                scores[rows, tile.start + columns] = targets.divergences(counts[tile], rows, columns)

    def _merge(self, lists: np.ndarray, start: int, candidates: np.ndarray, divergences: np.ndarray) -> np.ndarray:
        """The lists with the candidates in them."""
        merged = np.empty((len(lists), min(self._max_k, lists.shape[1] + candidates.shape[1])), np.int64)

        def merge(rows: slice) -> None:
            for row in range(rows.start, rows.stop):
                columns = np.flatnonzero(candidates[row])
                new = _keys(divergences[row, columns], start + columns)
                merged[row] = np.sort(np.concatenate([lists[row], new]))[: merged.shape[1]]

        in_threads(self._pool, merge, len(lists))
        return merged


def _keys(divergences: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Integers that ascend with the divergences, float32 >= 0, and among equal ones with the indices."""
    return (divergences.view(np.int32).astype(np.int64) << 32) | indices


def _divergences(keys: np.ndarray) -> np.ndarray:
    """The divergences in keys, float32."""
    return (keys >> 32).astype(np.int32).view(np.float32)
