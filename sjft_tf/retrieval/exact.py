"""Exact search (first form: brute force)."""

import numpy as np

from sjft_tf.progress import Progress
from sjft_tf.retrieval.divergence import EPSILON, symmetric_kl
from sjft_tf.retrieval.neighbor_table import NeighborTable


def search_exact(
    target_counts: np.ndarray,
    source_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    max_k: int,
    epsilon: float = EPSILON,
    progress: Progress | None = None,
) -> NeighborTable:
    """The `max_k` nearest source images of every target image."""
    values = symmetric_kl(target_counts, source_counts, channel_weights, epsilon=epsilon).astype(np.float32)
    order = np.argsort(values, axis=1, kind="stable")[:, :max_k]
    return NeighborTable(order.astype(np.int32), np.take_along_axis(values, order, axis=1))
