"""The confusion matrix and what follows from it as the text of CSV files."""

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from sjft_tf.evaluation.metrics import class_results


def confusion_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `confusion.csv`.

    Args:
        confusion: `[C, C]` int, images by true class (row) and predicted class (column).
        class_names: `[C]`, without control characters, which CSV readers take for ends of lines.

    Returns:
        A header, `class` and the class names, and a line for each true class: how many of its images were called what.
    """
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    return _csv(["class", *class_names], rows)


def per_class_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """The text of `per_class.csv`: `class_results` with the header `class,images,accuracy,confused_with,times`.

    A class without images has no accuracy, and one without errors is confused with none: those cells are empty.
    """
    rows = (
        (name, n_images, None if accuracy is None else f"{accuracy:.6f}", wrong, times)
        for name, n_images, accuracy, wrong, times in class_results(confusion, class_names)
    )
    return _csv(["class", "images", "accuracy", "confused_with", "times"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
