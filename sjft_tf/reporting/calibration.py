"""Whether the network is right as often as it is sure: the reliability diagram."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from sjft_tf.reporting import drawing

MAX_AREA = 160.0  # points squared, of the dot of a bin that holds all images
MIN_AREA = 6.0


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
