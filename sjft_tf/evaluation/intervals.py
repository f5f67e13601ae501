"""Whether one way of training beats another: the mean of paired differences, and how far chance alone may carry it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.special

from sjft_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """The mean of `a - b` over pairs, and the ends of its interval of confidence, in their unit."""

    mean: float
    standard_error: float  # standard deviation (of a sample) of the differences, divided by the root of their number
    low: float
    high: float
    p: float  # of a mean so far from 0 or farther, were the true one 0; two-sided


def paired_difference(a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95) -> PairedDifference:
    """Student's interval for the mean of `a - b`, pair by pair.

    Pairs share what varies besides the two methods, such as the seed. The interval holds the mean of ever more pairs with
    the given probability if the differences are normal; so for few pairs it is wide.

    Args:
        a, b: `[n]`, two measurements of each pair; n >= 2.
        confidence: in (0, 1).

    Raises:
        InputError: unequal numbers, or fewer than two pairs.

    Example:
        paired_difference([0.82, 0.79, 0.84], [0.70, 0.71, 0.69]).low > 0  # better beyond chance
    """
    if len(a) != len(b):
        raise InputError(f"there are {len(a)} and {len(b)} measurements, which do not make pairs")
    if len(a) < 2:
        raise InputError(f"there are measurements of {len(a)} pairs; an interval needs 2 or more")
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / len(differences) ** 0.5
    freedom = len(differences) - 1
    reach = float(scipy.special.stdtrit(freedom, (1 + confidence) / 2)) * error  # Student's quantile
    p = 2 * float(scipy.special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return PairedDifference(mean, error, mean - reach, mean + reach, p)


def bootstrap_difference(
    labels: np.ndarray, correct_a: np.ndarray, correct_b: np.ndarray, *,
    confidence: float = 0.95, resamples: int = 10_000, seed: int = 0,
) -> PairedDifference:  # fmt: skip
    """The percentile interval of the difference of two models' mean class accuracy over other test images.

    Images are drawn anew with replacement within each class, the same ones for both models (Efron and Tibshirani 1993,
    chapters 13 and 16). What another seed of training would change is not in it.

    Args:
        labels: `[n]` int, n > 0.
        correct_a, correct_b: `[n]` bool, whether each model calls an image right.
        confidence: in (0, 1).
        resamples: how often images are drawn.
        seed: of the draws.

    Returns:
        In 0..1. `p` is twice the smaller share of resamples on either side of 0, each counted with one more.
    """
    differences = np.asarray(correct_a, np.int64) - np.asarray(correct_b, np.int64)
    classes, rng = np.unique(labels), np.random.default_rng(seed)
    drawn, mean = np.zeros(resamples), 0.0
    for label in classes:
        of_class = differences[labels == label]
        shares = np.bincount(of_class + 1, minlength=3) / len(of_class)  # of -1, 0 and 1: all that a draw depends on
        counts = rng.multinomial(len(of_class), shares, resamples)
        drawn += (counts[:, 2] - counts[:, 0]) / (len(of_class) * len(classes))
        mean += float(of_class.mean()) / len(classes)
    drawn = drawn.round(12)  # sums that are 0 but for their rounding
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2)).tolist()
    tails = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (tails + 1) / (resamples + 1))
    return PairedDifference(mean, float(drawn.std(ddof=1)), low, high, p)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values of all comparisons that were made; below a level, the chance of any false one is below it.

    The i-th smallest of m is multiplied by m - i + 1, and none is less than a smaller one's (Holm 1979).

    Args:
        p: `[m]`, in 0..1; m may be 0.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted.tolist()
