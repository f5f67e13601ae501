"""The divergence of two descriptors, Eq. (1), and the vectors whose inner product it is.

Pure mathematics: NumPy in, NumPy out. Everything is float64; who searches rounds where it pays.
"""

import numpy as np

EPSILON = 2.2204e-16


def symmetric_kl(
    target_counts: np.ndarray, source_counts: np.ndarray, channel_weights: np.ndarray, *, epsilon: float = EPSILON
) -> np.ndarray:
    """Divergence of every target descriptor from every source descriptor."""
    p = target_counts / target_counts.sum(-1, keepdims=True, dtype=np.int64)
    q = source_counts / source_counts.sum(-1, keepdims=True, dtype=np.int64)
    lp, lq = np.log(p + epsilon), np.log(q + epsilon)
    return np.stack([np.einsum("scb,c->s", (p[t] - q) * (lp[t] - lq), channel_weights) for t in range(len(p))])
