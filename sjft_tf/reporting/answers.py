"""Figures of the test answers: the confusion matrix, for three classes and for hundreds, and the reliability diagram."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import matplotlib.colors
import matplotlib.figure
import matplotlib.ticker
import numpy as np
import rich.cells

from sjft_tf.reporting import drawing

MAX_COUNTED = 12  # classes up to which every cell carries its count
MAX_NAMED = 150  # classes up to which every row and column carries its name
_EM = 0.58  # width of a column of text, in font sizes
MAX_AREA = 160.0  # points squared, of the dot of a bin that holds all images
MIN_AREA = 6.0


def confusion_picture(confusion: np.ndarray, class_names: Sequence[str]) -> matplotlib.figure.Figure:
    """Cells as deep in color as the share of the true class (row) that was predicted as the column's class.

    Both are as in `ReportData`. The figure is as wide as a column of the page up to 12 classes, as the page beyond.
    """
    n_classes = len(class_names)
    counted = n_classes <= MAX_COUNTED
    width = drawing.WIDTH if counted else 2 * drawing.WIDTH
    names = [drawing.label(name, 16 if counted else 24) for name in class_names] if n_classes <= MAX_NAMED else []
    size = 9.0 if counted or not names else float(np.clip(0.8 * 72 * (width - 1.6) / n_classes, 3.6, 9.0))
    margin = (size * _EM * max((rich.cells.cell_len(name) for name in names), default=8) + 10) / 72
    outside = 16 / 72
    side = width - margin - outside
    figure = matplotlib.figure.Figure(figsize=(width, width))
    axes = figure.add_axes((margin / width, outside / width, side / width, side / width))
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    tint = np.empty((*confusion.shape, 4))  # one color by opacity, so that it reads on light and on dark paper
    tint[..., :3] = matplotlib.colors.to_rgb("#3f74d6")  # between the light and the dark tone of the target
    tint[..., 3] = share**0.5  # lifts the small shares, where the confusions are
    axes.imshow(tint, interpolation="none", extent=(-0.5, n_classes - 0.5, n_classes - 0.5, -0.5))
    axes.spines[:].set_visible(True)
    _label_classes(axes, names, size)
    if counted:
        _write_counts(axes, confusion, share)
    return figure


def _label_classes(axes: matplotlib.axes.Axes, names: Sequence[str], size: float) -> None:
    axes.tick_params(length=0, labelsize=size, labelcolor=drawing.color("ink" if names else "muted"), pad=3)
    axes.xaxis.tick_top()
    if names:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    else:
        locator = matplotlib.ticker.MaxNLocator(nbins=10, integer=True)
        axes.xaxis.set_major_locator(locator)
        axes.yaxis.set_major_locator(locator)


def _write_counts(axes: matplotlib.axes.Axes, confusion: np.ndarray, share: np.ndarray) -> None:
    size = float(np.interp(len(confusion), [3, MAX_COUNTED], [12, 8]))
    for (true, predicted), count in np.ndenumerate(confusion):
        if count:
            shade = "white" if share[true, predicted] > 0.75 else drawing.color("ink")
            axes.text(predicted, true, f"{count:,}", color=shade, ha="center", va="center_baseline", size=size)


def reliability_diagram(reliability: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """Accuracy against confidence, one dot a bin with a line to the diagonal; its area is the bin's share of the images."""
    sizes, confidences, accuracies = _filled(reliability)
    areas = np.maximum(MAX_AREA * sizes / sizes.sum(), MIN_AREA)
    figure, axes = drawing.chart(height=2.9)
    axes.plot([0, 1], [0, 1], color=drawing.color("muted"), lw=1, ls=(0, (3, 2)), label="as right as sure")
    axes.vlines(confidences, accuracies, confidences, color=drawing.color("target"), lw=1.2)
    mark: dict[str, Any] = {"color": drawing.color("target"), "label": "test images by confidence", "zorder": 3}
    axes.scatter(confidences, accuracies, s=areas, **mark)
    for axis, set_limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        set_limits(0, 1.02)
        axis.set_major_locator(matplotlib.ticker.MultipleLocator(0.25))
        axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0, symbol="\N{NO-BREAK SPACE}%"))
    axes.set_xlabel("confidence, the probability of the answer")
    axes.set_ylabel("accuracy")
    drawing.legend_above(figure, axes)
    return figure


def means(reliability: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Confidence and accuracy over all images."""
    sizes, confidences, accuracies = _filled(reliability)
    return float(np.average(confidences, weights=sizes)), float(np.average(accuracies, weights=sizes))


def _filled(reliability: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Images, confidence and accuracy of the bins that hold images, `[3, n]`."""
    return np.array([(found["n"], found["confidence"], found["accuracy"]) for found in reliability if found["n"]]).T
