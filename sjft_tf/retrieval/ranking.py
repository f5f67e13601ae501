"""Ranked lists as integers: a key ascends with the divergence and, among equal ones, with the index.

So the merge of any lists is a sort, and depends neither on how a source was cut nor on the order of its parts.
"""

import numpy as np

from sjft_tf.retrieval.neighbor_table import NeighborTable


def rank_keys(divergences: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Keys of pairs.

    Args:
        divergences: float32 >= 0; `indices`: integers >= 0 below 2^31, of the same shape.

    Returns:
        int64 of that shape.
    """
    keys: np.ndarray = (divergences.view(np.int32).astype(np.int64) << 32) | indices
    return keys


def divergences_of(keys: np.ndarray) -> np.ndarray:
    """The divergences in keys, float32."""
    return (keys >> 32).astype(np.int32).view(np.float32)


def merge_keys(one: np.ndarray, other: np.ndarray, max_k: int) -> np.ndarray:
    """The `max_k` smallest keys of each row of both, `[n, <= max_k]` ascending; no pair may be in both."""
    return np.sort(np.concatenate([one, other], axis=1), axis=1)[:, :max_k]


def table_of(keys: np.ndarray) -> NeighborTable:
    """The table of `[n, max_k]` ascending keys."""
    return NeighborTable((keys & 0xFFFFFFFF).astype(np.int32), divergences_of(keys))
