"""What an approximate search found of what an exact one finds, and how sure that is. Pure NumPy.

Targets are the units of the sample: what is missed of one list is missed together, so that pairs are not independent.
Recalls lie in 0..1 and most are near 1, where an interval from mean and standard deviation is too short, and of no length
if all are 1. The interval here holds for every distribution on 0..1 and every sample size: it is the set of means
against which nobody who bets on the next recall, knowing the ones before, would have made 40 times the stake.

Reference: Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting, JRSS B 86, 2024.
"""

import dataclasses

import numpy as np

_MEANS = np.linspace(0, 1, 4001)[1:-1]  # where the interval may end
_BOLDEST = 0.75  # of the stake may be lost in one bet
_NEEDED = np.log(1 / 0.05)  # of the winnings, so that a mean is ruled out with a confidence of 95 %


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Recall at `depth` of an approximate search, measured on a sample of targets against exact search.

    Attributes:
        recall: mean over the sample, of the share of the `depth` nearest source images that are found.
        low, high: the recall over all targets lies between them with a confidence of 95 %.
        n_targets: targets in the sample.
        depth: neighbors of each.
        candidates: source images that the index proposes for each target.
        min_recall: what `low` was required to reach.
    """

    recall: float
    low: float
    high: float
    n_targets: int
    depth: int
    candidates: int
    min_recall: float

    def summary(self) -> str:
        """One line for people."""
        return (
            f"recall@{self.depth} {self.recall:.4f} (95 % interval {self.low:.3f} to {self.high:.3f}, {self.n_targets} "
            f"target images), {self.candidates} candidates of each target image"
        )


def recalls(candidates: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """For each target the share of the exact list that is among the candidates, `[n]` float64.

    Because candidates are ranked by what ranks exactly, this is the recall of the final list too.

    Args:
        candidates: `[n, c]` int, none twice in a row.
        exact: `[n, depth]` int, likewise.
    """
    found = [np.isin(row, proposed, assume_unique=True).mean() for row, proposed in zip(exact, candidates, strict=True)]
    return np.array(found)


def mean_interval(values: np.ndarray, population: int) -> tuple[float, float]:
    """An interval that holds the mean of a population with a confidence of at least 95 %.

    Args:
        values: `[n]` float in 0..1, a random sample without repetition, in random order.
        population: size of the population; where the sample is all of it, the mean is known.

    Returns:
        low and high, the sample's mean between them.
    """
    mean = float(values.mean())
    if len(values) >= population:
        return mean, mean
    bets = _bets(values)[:, None]
    up = _most_won(np.minimum(bets, _BOLDEST / _MEANS), values)
    down = _most_won(-np.minimum(bets, _BOLDEST / (1 - _MEANS)), values)
    likely = _MEANS[np.maximum(up, down) - np.log(2) < _NEEDED]
    step = _MEANS[0]
    return min(mean, float(likely.min(initial=1)) - step), max(mean, float(likely.max(initial=0)) + step)


def _bets(values: np.ndarray) -> np.ndarray:
    """How much to bet on each value, `[n]`: the less, the more the ones before varied."""
    n = np.arange(1, len(values) + 1)
    means = (0.5 + np.cumsum(values)) / (n + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (n + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.sqrt(2 * (_NEEDED + np.log(2)) / (before * len(values)))


def _most_won(bets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The logarithm of the greatest wealth on the way, `[means]`, by bets `[n, means]` that the mean is another."""
    return np.asarray(np.cumsum(np.log1p(bets * (values[:, None] - _MEANS)), axis=0).max(axis=0))
