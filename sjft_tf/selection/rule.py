"""The rule that lets hard target images borrow more: entropy, Eq. (2), and expansion, Eq. (3), of Ge & Yu (2017)."""

import dataclasses

import numpy as np

from sjft_tf.errors import check_at_least


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Uncertainty of each prediction, Eq. (2), in nats: `-sum_c p_c log p_c` with `0 log 0 = 0`.

    Args:
        probabilities: `[n, n_classes]` float, rows sum to 1.

    Returns:
        `[n]` float64 in `[0, log(n_classes)]`.
    """
    probabilities = np.asarray(probabilities, np.float64)
    # log(1) = 0 stands in where p = 0, so that the product is 0 and not NaN.
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(-(probabilities * logarithms).sum(axis=-1))


def expand_counts(
    counts: np.ndarray,
    entropies: np.ndarray,
    correct: np.ndarray,
    *,
    k0: int,
    sigma0: int,
    sigma1: int,
    delta: float,
    max_k: int,
) -> np.ndarray:
    """Neighbor counts for the next round, Eq. (3).

    Args:
        counts: `[n]` int32, this round's K.
        entropies: `[n]` float, Eq. (2), in nats.
        correct: `[n]` bool, whether the target head's top class is the label.
        k0, sigma0, sigma1, delta: see `Selection`.
        max_k: the cap on K.

    Returns:
        `[n]` int32, never below `counts` nor above `max_k`.
    """
    growth = np.where(correct, np.where(np.asarray(entropies) >= delta, sigma1, 0), sigma0)
    grown = np.asarray(counts, np.int64) + growth * k0
    return np.asarray(np.minimum(grown, max_k), np.int32)


def deepest_k(*, k0: int, rounds: int, sigma0: int = 4, sigma1: int = 2, level_cap: int | None = None) -> int:
    """The largest K that any image can reach in the last round: the depth that a neighbor table needs.

    Args:
        k0, sigma0, sigma1, level_cap: see `Selection`.
        rounds: number of rounds, the first included.

    Returns:
        `k0 (1 + max(sigma0, sigma1) (rounds - 1))`, or the cap.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> deepest_k(k0=300, rounds=5)
        5100
    """
    check_at_least(1, k0=k0, rounds=rounds)
    check_at_least(0, sigma0=sigma0, sigma1=sigma1)
    level = 1 + max(sigma0, sigma1) * (rounds - 1)
    return k0 * (level if level_cap is None else min(level, level_cap))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How many target images a round left wrong, uncertain (correct, at or above delta) and settled."""

    n_wrong: int
    n_uncertain: int
    n_settled: int


def outcome(entropies: np.ndarray, correct: np.ndarray, delta: float) -> Outcome:
    """Count the three cases of Eq. (3)."""
    uncertain = correct & (np.asarray(entropies) >= delta)
    n_wrong, n_uncertain = int((~correct).sum()), int(uncertain.sum())
    return Outcome(n_wrong, n_uncertain, len(correct) - n_wrong - n_uncertain)
