"""How good predictions are, as numbers and as CSV files: accuracy, the paper's mean class accuracy, confusions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.evaluation.calibration import expected_calibration_error, reliability
from sjft_tf.files import csv_text


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of images, in 0..1, whose predicted class is the label; both `[n]` int, n > 0."""
    return float(np.mean(np.asarray(labels) == np.asarray(predictions)))


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> np.ndarray:
    """`[n_classes, n_classes]` int64: how many images of class i (row) were called j (column)."""
    matrix = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(matrix, (np.asarray(labels), np.asarray(predictions)), 1)
    return matrix


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
    """`[n_classes]` float64, the share of each class's images that were called right; NaN for a class without images."""
    totals = confusion.sum(axis=1)
    return np.where(totals > 0, np.diag(confusion) / np.maximum(totals, 1), np.nan)


class ClassResult(NamedTuple):
    """How the images of one class fared."""

    name: str
    n_images: int
    accuracy: float | None  # share called right, in 0..1; None without images
    confused_with: str | None  # the wrong class called most often, of equals the first; None without errors
    n_confused: int  # how often


def class_results(confusion: np.ndarray, class_names: Sequence[str]) -> list[ClassResult]:
    """One result for each class, in class order, from `[C, C]` int counts of `confusion_matrix`."""
    errors = confusion - np.diag(np.diag(confusion))
    columns = confusion.sum(axis=1), per_class_accuracy(confusion), errors.argmax(axis=1), errors.max(axis=1)
    return [
        ClassResult(name, n, share if n else None, class_names[wrong] if times else None, times)
        for name, n, share, wrong, times in zip(class_names, *(column.tolist() for column in columns), strict=True)
    ]


def mean_class_accuracy(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> float:
    """Unweighted mean over classes of the share of a class's images called right: the paper's metric (Ge & Yu, section 4).

    Classes without images have no share and are left out of the mean. `labels` and `predictions` are `[n]` int, n > 0.
    """
    return float(np.nanmean(per_class_accuracy(confusion_matrix(labels, predictions, n_classes))))


def best_round(accuracies: Sequence[float | None]) -> int | None:
    """The round, from 0, of the highest accuracy, the earliest of equal ones; None where no round has an accuracy.

    Accuracies are of a validation domain, never of the test domain.
    """
    candidates = [(value, -number) for number, value in enumerate(accuracies) if value is not None]
    return -max(candidates)[1] if candidates else None


def figures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """`mean_class_accuracy`, `accuracy` and `ece` of one model on one labelled domain, each in 0..1.

    Arguments are as in `reliability`; n > 0.
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


def confusion_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `confusion.csv`, from `[C, C]` int counts of `confusion_matrix`.

    There is a header, `class` and the class names, and a line for each true class: how many of its images were called
    what. Class names are without control characters, which CSV readers take for ends of lines.
    """
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    return csv_text(["class", *class_names], rows)


def per_class_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `per_class.csv`: `class_results` with the header `class,images,accuracy,confused_with,times`.

    A class without images has no accuracy, and one without errors is confused with none: those cells are empty.
    """
    rows = (
        (name, n_images, None if accuracy is None else f"{accuracy:.6f}", wrong, times)
        for name, n_images, accuracy, wrong, times in class_results(confusion, class_names)
    )
    return csv_text(["class", "images", "accuracy", "confused_with", "times"], rows)
