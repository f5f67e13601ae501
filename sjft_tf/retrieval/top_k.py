"""The nearest of each target as integers: a key ascends with the divergence and, among equal ones, with the index.

So the merge of any lists is a sort, and depends neither on how a source was cut nor on the order of its parts.
"""

from collections.abc import Iterable

import numpy as np

from sjft_tf.retrieval.neighbor_table import NeighborTable

_NONE = np.iinfo(np.int64).max  # where no key is


def keys_of(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Keys of pairs, int64, of finite float32 values and indices in 0..2^31 - 1."""
    bits = (values + np.float32(0)).view(np.int32)  # of -0 becomes 0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative numbers, too, ascend as integers
    keys = ordered.astype(np.int64)
    keys <<= 32
    keys |= indices
    return keys


def values_of(keys: np.ndarray) -> np.ndarray:
    """The values in keys, float32."""
    ordered = (keys >> 32).astype(np.int32)
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)


def merge_keys(lists: Iterable[np.ndarray], *, depth: int) -> np.ndarray:
    """The `depth` smallest keys of each row of all lists, `[n, <= depth]` ascending; no pair may be in two of them."""
    return np.sort(np.concatenate(list(lists), axis=1), axis=1)[:, :depth]


def table_of(keys: np.ndarray, *, hubness: str = "none") -> NeighborTable:
    """The table of `[n, depth]` ascending keys."""
    return NeighborTable((keys & 0x7FFFFFFF).astype(np.int32), values_of(keys), hubness=hubness)


class TopK:
    """The `depth` smallest keys of each row so far, and others that came since the last sifting.

    Args:
        n: number of rows.
        depth: how many are kept.
        width: the most values that a row is offered at a time.
        least: values below it are rounding errors, and count as it.
    """

    def __init__(self, n: int, depth: int, width: int, *, least: float = -np.inf) -> None:
        self._depth, self._room, self._least = depth, self._room_for(depth), np.float32(least)
        self._keys = np.full((n, self._room + width), _NONE)
        self._filled = np.zeros(n, np.int64)
        self._limits = np.full(n, np.inf, np.float32)  # what is above it is not among the nearest

    @staticmethod
    def bytes_for(n: int, depth: int, width: int) -> int:
        """Memory that it takes."""
        return 8 * n * (TopK._room_for(depth) + width)

    @staticmethod
    def _room_for(depth: int) -> int:
        return depth + max(depth // 4, 64)

    def offer(self, rows: slice, values: np.ndarray, first: int) -> None:
        """Take the values that may be among the nearest; different rows may be offered at the same time.

        Args:
            rows: which rows.
            values: `[rows, w]` float32, w <= width, of consecutive indices.
            first: index of the first.
        """
        filled, limits, width = self._filled[rows], self._limits[rows], values.shape[1]
        if width > self._depth and not filled.any():
            limits[:] = np.maximum(np.partition(values, self._depth - 1, axis=1)[:, self._depth - 1], self._least)
        found = np.flatnonzero(values <= limits[:, None])
        row_starts = np.arange(len(filled))
        starts = np.searchsorted(found, row_starts * width)
        numbers = np.diff(starts, append=len(found))
        nearest = np.maximum(values.reshape(-1)[found], self._least)
        keys = keys_of(nearest, found - np.repeat(row_starts * width - first, numbers))
        held = self._keys[rows]
        places = np.arange(len(found)) + np.repeat(row_starts * held.shape[1] + filled - starts, numbers)
        held.reshape(-1)[places] = keys
        filled += numbers
        if filled.max() > self._room:
            self._sift(rows)

    def sorted(self) -> np.ndarray:
        """The keys, `[n, <= depth]` ascending."""
        self._sift(slice(None))
        width = int(self._filled.max(initial=0))
        return np.sort(self._keys[:, :width], axis=1)

    def resume(self, keys: np.ndarray) -> None:
        """Resume from `[n, <= depth]` keys."""
        self._keys[:, : keys.shape[1]], self._keys[:, keys.shape[1] :] = keys, _NONE
        self._filled[:] = keys.shape[1]
        self._sift(slice(None))

    def _sift(self, rows: slice) -> None:
        """Keep only the nearest of some rows, and see what is too far from now on."""
        filled = self._filled[rows]
        most = int(filled.max(initial=0))
        if most < self._depth:
            return
        held = self._keys[rows, :most]
        held.partition(self._depth - 1, axis=1)
        held[:, self._depth :] = _NONE
        np.minimum(filled, self._depth, out=filled)
        full = filled == self._depth
        self._limits[rows][full] = values_of(held[full, self._depth - 1])
