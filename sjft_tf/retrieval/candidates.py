"""Which source images may be among the nearest, by scores that are wrong by no more than is known."""

import numpy as np

_STRIDE = 8  # of the sample by which the scores of the nearest are guessed


def kth_at_most(scores: np.ndarray, errors: np.ndarray, k: int, below: float = np.inf) -> float:
    """A number that at least `k` of the true scores do not exceed, if it is less than `below`; infinity otherwise.

    Args:
        scores: `[m]` float32, none above the true one.
        errors: `[m]` float32, how far below it a score is at most.
        k: >= 1.
        below: what is known already.
    """
    if len(scores) < k:
        return np.inf
    known = np.isfinite(below)
    near = np.flatnonzero(scores <= (below if known else _guess(scores, k)))
    if len(near) < k:
        if known:
            return np.inf
        near = np.arange(len(scores))
    return float(np.partition(scores[near] + errors[near], k - 1)[k - 1])


def _guess(scores: np.ndarray, k: int) -> float:
    """Probably a little above the `k`-th smallest."""
    sample = scores[::_STRIDE]
    rank = int(k / _STRIDE + 4 * np.sqrt(k / _STRIDE) + 4)
    return float(np.partition(sample, rank)[rank]) if rank < len(sample) else np.inf
