"""The confusion matrix and what follows from it as the text of CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from sjft_tf.evaluation.metrics import most_confused, per_class_accuracy


def confusion_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `confusion.csv`.

    Args:
        confusion: `[C, C]` int, images by true class (row) and predicted class (column).
        class_names: `[C]`, without control characters, which CSV readers take for ends of lines.

    Returns:
        CSV with the header `class` and the class names, and a line for each true class: its name, then how many of its
        images were called what.
    """
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    return _csv(["class", *class_names], rows)


def per_class_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `per_class.csv`.

    Args:
        confusion, class_names: as in `confusion_csv`.

    Returns:
        CSV with the header `class,images,accuracy,confused_with,times` and a line for each class: the share of its
        images that were called right, and the wrong class that its images were called most often. A class without
        images has no accuracy, and one without errors is confused with none: those cells are empty.
    """
    totals, shares, (wrong, times) = confusion.sum(axis=1), per_class_accuracy(confusion), most_confused(confusion)
    rows = (
        [
            name,
            int(totals[i]),
            "" if np.isnan(shares[i]) else f"{shares[i]:.6f}",
            class_names[wrong[i]] if times[i] else "",
            int(times[i]),
        ]
        for i, name in enumerate(class_names)
    )
    return _csv(["class", "images", "accuracy", "confused_with", "times"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
