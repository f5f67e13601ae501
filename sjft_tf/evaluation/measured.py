"""All figures of one model on one labelled domain, from its probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sjft_tf.evaluation.calibration import expected_calibration_error, reliability
from sjft_tf.evaluation.metrics import accuracy, class_results, confusion_matrix, mean_class_accuracy


def figures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """`mean_class_accuracy`, `accuracy` and `ece`, each in 0..1.

    Args:
        labels: `[n]` int in `0..C-1`.
        probabilities: `[n, C]` float, rows sum to 1.
    """
    answers = probabilities.argmax(axis=-1)
    return {
        "mean_class_accuracy": mean_class_accuracy(labels, answers, probabilities.shape[1]),
        "accuracy": accuracy(labels, answers),
        "ece": expected_calibration_error(labels, probabilities),
    }


def measured(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """`figures`, the accuracy of each class (None where it has no image) and the reliability by confidence, for JSON."""
    confusion = confusion_matrix(labels, probabilities.argmax(axis=-1), len(class_names))
    return {
        **figures(labels, probabilities),
        "per_class": {result.name: result.accuracy for result in class_results(confusion, class_names)},
        "reliability": [found._asdict() for found in reliability(labels, probabilities)],
    }
