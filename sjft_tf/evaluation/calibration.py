"""Whether a classifier is right as often as it says it is. Pure NumPy.

Reference: Guo et al., "On calibration of modern neural networks", ICML 2017, section 2.
"""

from typing import NamedTuple

import numpy as np


class ReliabilityBin(NamedTuple):
    """The `n` images whose confidence is above `low`, up to and with `high`; means over them, None without images."""

    low: float
    high: float
    n: int
    confidence: float | None  # mean probability of the top class
    accuracy: float | None  # share whose top class is the label


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> list[ReliabilityBin]:
    """Confidence and accuracy by interval of confidence: a reliability diagram.

    Args:
        labels: `[n]` int in `[0, n_classes)`.
        probabilities: `[n, n_classes]`, rows sum to 1. The top class is the first of the largest.
        bins: intervals of equal width over 0..1. An exact edge `k / bins` belongs to the interval below it, so 1 to the
            last; 0, and what rounding puts above 1, to the first and the last.

    Returns:
        `bins` bins, by rising confidence.
    """
    confidences = np.max(probabilities, axis=1).astype(np.float64)
    correct = np.argmax(probabilities, axis=1) == np.asarray(labels)
    edges = np.arange(bins + 1) / bins
    places = np.searchsorted(edges[1:-1], confidences, side="left")
    found = []
    for place, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        here = places == place
        means = (float(confidences[here].mean()), float(correct[here].mean())) if here.any() else (None, None)
        found.append(ReliabilityBin(low, high, int(here.sum()), *means))
    return found


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean over images of `|accuracy - confidence|` of the image's bin, in 0..1; Eq. (3) of the reference.

    Arguments are as in `reliability`; n > 0.
    """
    gaps = [
        bin.n * abs(bin.accuracy - bin.confidence)
        for bin in reliability(labels, probabilities, bins)
        if bin.accuracy is not None and bin.confidence is not None
    ]
    return sum(gaps) / len(labels)
