"""The numbers a report shows beyond those it is given. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sjft_tf.evaluation import ClassResult, class_results, per_class_accuracy


def worst_classes(confusion: np.ndarray, class_names: Sequence[str], count: int = 10) -> list[ClassResult]:
    """The `count` classes of lowest accuracy, worst first; classes without an error are left out.

    Of equally accurate classes the one with more images comes first, then the earlier one.
    """
    flawed = [result for result in class_results(confusion, class_names) if result.n_confused]
    return sorted(flawed, key=lambda result: (result.accuracy, -result.n_images))[:count]


def mean_class_standard_error(confusion: np.ndarray) -> float:
    """Standard error of the mean class accuracy that comes from the test set's being finite, in 0..1.

    Each class is a binomial sample of its own: `sqrt(sum_c a_c (1 - a_c) / n_c) / C`. What another seed would change is
    not in it.
    """
    n_images, accuracies = confusion.sum(axis=1), per_class_accuracy(confusion)
    seen = n_images > 0
    variances = accuracies[seen] * (1 - accuracies[seen]) / n_images[seen]
    return float(np.sqrt(variances.sum()) / seen.sum())


def term_names(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """The terms of the objective that the history has a loss of, if no finite one, in its order: "target", "source", ..."""
    losses = [key for entry in history for key in entry if key.endswith("_loss")]
    return [key.removesuffix("_loss") for key in dict.fromkeys(losses)]


def joined_curve(curves: Sequence[Mapping[str, Any]], term: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The loss of one term over all rounds on one axis of steps.

    Args:
        curves: one `{"step": [...], "target": [...], "source": [...]}` a round. Steps may restart each round or
            count on.
        term: its name; a round that lacks it adds nothing.

    Returns:
        Steps and losses, `[n]` float64 each, and the last step of every round but the final one, `[rounds - 1]`.
    """
    steps, losses, ends = [np.empty(0)], [np.empty(0)], [0.0]
    for curve in curves:
        step = np.asarray(curve["step"], np.float64)
        loss = np.array(curve.get(term) or [], np.float64)
        if len(step) and step[0] <= ends[-1]:
            step = step + ends[-1]
        if len(loss) == len(step):
            steps.append(step)
            losses.append(loss)
        ends.append(step[-1] if len(step) else ends[-1])
    return np.concatenate(steps), np.concatenate(losses), np.array(ends[1:-1])


def averaged(values: np.ndarray, at_most: int) -> np.ndarray:
    """`values` `[n]`, or if they are more than `at_most`, the means of that many consecutive, nearly equal parts."""
    if len(values) <= at_most:
        return values
    return np.array([part.mean() for part in np.array_split(values, at_most)])
