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
    reach = float(scipy.special.stdtrit(len(differences) - 1, (1 + confidence) / 2)) * error  # Student's quantile
    return PairedDifference(mean, error, mean - reach, mean + reach)
