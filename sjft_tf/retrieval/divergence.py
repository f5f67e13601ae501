"""Divergences of two descriptors by their definitions: pure mathematics in float64, NumPy in and NumPy out.

`p` and `q` are the smoothed histograms of a target and a source image, `w` the channels' weights. These say what a search
means, and take about 5 ns a bin and pair; a search itself computes in float32, see `lifting`.
"""

from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from sjft_tf.errors import InputError

Smoothing = float | Literal["authors"]
AUTHORS_EPSILON = 2.2204e-16
SMOOTHING = 0.01  # counts, by which a search does no worse than by others, whatever the bank: docs/results/retrieval.md
_BLOCK = 256  # source images at a time, so that the temporaries stay near the processor


def symmetric_kl(
    target_counts: np.ndarray,
    source_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    smoothing: Smoothing = "authors",
) -> np.ndarray:
    """Divergence of every target descriptor from every source descriptor.

    `sum_c w_c sum_b (p - q) (log p - log q)`, where `p = (counts + a) / (pixels + a bins)` with `a` the smoothing; by the
    authors' smoothing `p = counts / pixels`, and 2.2204e-16 is added inside the logarithms only.

    Args:
        target_counts: `[n, D, bins]` integers.
        source_counts: `[m, D, bins]` integers.
        channel_weights: `[D]` float, 1 / (channels in the channel's group).
        smoothing: counts added to every bin, > 0, or "authors". The authors' makes each empty bin cost
            `-log(2.2204e-16) = 36` times the share that the other image has there.

    Returns:
        `[n, m]` float64 in nats, >= 0; equal histograms give exactly 0.

    Raises:
        InputError: the two sides differ in channels or bins, or a histogram is empty.

    Example:
        >>> symmetric_kl(np.array([[[1, 3]]]), np.array([[[3, 1]]]), np.ones(1)).round(4)  # log(3)
        array([[1.0986]])

    Reference: Ge & Yu, CVPR 2017, Eq. (1).
    """
    weights = _checked(target_counts, source_counts, channel_weights)
    (p, log_p), (q, log_q) = (_smoothed(counts, smoothing) for counts in (target_counts, source_counts))
    divergences = np.empty((len(p), len(q)))
    for start in range(0, len(q), _BLOCK):
        s = slice(start, start + _BLOCK)
        for t in range(len(p)):
            terms = (p[t] - q[s]) * (log_p[t] - log_q[s])
            divergences[t, s] = (terms.sum(axis=2) * weights).sum(axis=1)
    return divergences


def squared_hellinger(
    target_counts: np.ndarray, source_counts: np.ndarray, channel_weights: np.ndarray, *, smoothing: Smoothing = 0.0
) -> np.ndarray:
    """Squared Hellinger distance of every target descriptor from every source descriptor.

    `sum_c w_c (1 - sum_b sqrt(p q))`, summed as `sum_c w_c sum_b (sqrt p - sqrt q)^2 / 2`. Arguments and errors are those
    of `symmetric_kl`, but that smoothing may be 0, and "authors" adds nothing here, where no logarithm needs it.

    Returns:
        `[n, m]` float64 from 0 to the sum of the weights; equal histograms give exactly 0.
    """
    weights = _checked(target_counts, source_counts, channel_weights)
    p, q = (_smoothed(counts, smoothing)[0] for counts in (target_counts, source_counts))
    a, b = (np.sqrt(weights[:, None] / 2 * shares).reshape(len(shares), -1) for shares in (p, q))
    return squared_distance(a, b)


def squared_distance(targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Squared distance of every target's feature vector from every source's.

    Args:
        targets: `[n, F]` float.
        sources: `[m, F]` float. Vectors of unit length are compared by angle: 2 - 2 cos.

    Returns:
        `[n, m]` float64, >= 0; equal vectors give exactly 0.
    """
    return np.asarray(cdist(targets, sources, "sqeuclidean"))


def _checked(target_counts: np.ndarray, source_counts: np.ndarray, channel_weights: np.ndarray) -> np.ndarray:
    if target_counts.shape[1:] != source_counts.shape[1:] or target_counts.shape[1:2] != np.shape(channel_weights):
        raise InputError(
            f"target counts {target_counts.shape}, source counts {source_counts.shape} and channel weights "
            f"{np.shape(channel_weights)} must agree in channels and bins"
        )
    return np.asarray(channel_weights, np.float64)


def _smoothed(counts: np.ndarray, smoothing: Smoothing) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed histograms, `[n, D, bins]` float64, and what stands for their logarithms."""
    counts = np.ascontiguousarray(counts)  # the order in which a sum adds its terms depends on the layout
    totals = counts.sum(axis=2, keepdims=True, dtype=np.int64)
    if (totals <= 0).any():
        image, channel = np.argwhere(totals[..., 0] <= 0)[0]
        raise InputError(f"the histogram of image {image}, channel {channel} has no counts; every map has pixels")
    if smoothing == "authors":
        p = counts / totals
        return p, np.log(p + AUTHORS_EPSILON)
    p = (counts + smoothing) / (totals + smoothing * counts.shape[2])
    with np.errstate(divide="ignore"):  # of no smoothing, where no logarithm is used
        return p, np.log(p)
