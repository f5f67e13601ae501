"""Accuracy and calibration of predictions, and intervals of paired differences. Predictions are made in `inference`."""

from sjft_tf.evaluation.calibration import expected_calibration_error, reliability
from sjft_tf.evaluation.intervals import PairedDifference, bootstrap_difference, holm, paired_difference
from sjft_tf.evaluation.metrics import (
    ClassResult,
    accuracy,
    best_round,
    class_results,
    confusion_csv,
    confusion_matrix,
    figures,
    mean_class_accuracy,
    measured,
    per_class_accuracy,
    per_class_csv,
)

__all__ = [
    "ClassResult",
    "PairedDifference",
    "accuracy",
    "best_round",
    "bootstrap_difference",
    "class_results",
    "confusion_csv",
    "confusion_matrix",
    "expected_calibration_error",
    "figures",
    "holm",
    "mean_class_accuracy",
    "measured",
    "paired_difference",
    "per_class_accuracy",
    "per_class_csv",
    "reliability",
]
