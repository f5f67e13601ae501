"""The divergence of two descriptors, and the vectors whose inner product is the divergence.

Pure mathematics, NumPy in and NumPy out, in float64. `p` and `q` are histograms of a target and a source image
(counts divided by their sum), `w` the channels' weights, and epsilon stands inside the logarithms only.
"""

import numpy as np

from sjft_tf.errors import InputError

EPSILON = 2.2204e-16
_BLOCK = 256  # source images at a time, so that the temporaries stay near the processor


def symmetric_kl(
    target_counts: np.ndarray, source_counts: np.ndarray, channel_weights: np.ndarray, *, epsilon: float = EPSILON
) -> np.ndarray:
    """Divergence of every target descriptor from every source descriptor.

    `sum_c w_c sum_b (p - q) (log(p + epsilon) - log(q + epsilon))`, term by term and always in the same order: the
    value of a pair does not depend on which other pairs are asked for, and equal histograms give exactly 0.

    Args:
        target_counts: `[n, D, bins]` integers.
        source_counts: `[m, D, bins]` integers.
        channel_weights: `[D]` float, 1 / (channels in the channel's group).
        epsilon: keeps the logarithm of an empty bin finite.

    Returns:
        `[n, m]` float64 in nats, >= 0. It takes about 5 ns a bin and pair: `search_exact` is for large sources.

    Raises:
        InputError: the two sides differ in channels or bins, or a histogram is empty.

    Reference: Ge & Yu, CVPR 2017, Eq. (1); specification 2.1 and 2.2.
    """
    if target_counts.shape[1:] != source_counts.shape[1:] or target_counts.shape[1:2] != np.shape(channel_weights):
        raise InputError(
            f"target counts {target_counts.shape}, source counts {source_counts.shape} and channel weights "
            f"{np.shape(channel_weights)} must agree in channels and bins"
        )
    p = distributions(target_counts)
    log_p = np.log(p + epsilon)
    divergences = np.empty((len(target_counts), len(source_counts)))
    for start in range(0, len(source_counts), _BLOCK):
        q = distributions(source_counts[start : start + _BLOCK])
        log_q = np.log(q + epsilon)
        for row in range(len(p)):
            terms = (p[row] - q) * (log_p[row] - log_q)
            divergences[row, start : start + _BLOCK] = (terms.sum(axis=2) * channel_weights).sum(axis=1)
    return divergences


def lift_targets(
    target_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    center: np.ndarray | float = 0.0,
    scale: float = 1.0,
    epsilon: float = EPSILON,
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors `u` and offsets with `divergence(t, s) = offset(t) - <u(t), v(s)>`; `v` is from `lift_sources`.

    `u = [scale p, (log(p + epsilon) - center) / scale, scale]`.

    Args:
        target_counts: `[n, D, bins]` integers.
        channel_weights: `[D]` float.
        center: `[D, bins]`, subtracted from the logarithms of both sides, which changes no divergence; a mean of
            them makes the vectors short, and short vectors lose less to rounding and quantization.
        scale: > 0, moves length from one half of the vectors to the other, which changes no divergence either.
        epsilon: as in `symmetric_kl`.

    Returns:
        `u`, `[n, 2 D bins + 1]` float64, and the offsets, `[n]` float64.

    Reference: specification 2.3, the centered lift with one center for both sides.
    """
    p = distributions(target_counts)
    logs = np.log(p + epsilon) - center
    u, first, second = _empty_lift(p.shape)
    np.multiply(p, scale, out=first)
    np.divide(logs, scale, out=second)
    u[:, -1] = scale
    return u, np.einsum("ncb,ncb,c->n", p, logs, channel_weights)


def lift_sources(
    source_counts: np.ndarray,
    channel_weights: np.ndarray,
    *,
    center: np.ndarray | float = 0.0,
    scale: float = 1.0,
    epsilon: float = EPSILON,
) -> np.ndarray:
    """The vectors `v` of source descriptors, for the same weights, center, scale and epsilon as the targets' `u`.

    `v = [w (log(q + epsilon) - center) / scale, scale w q, -sum w q (log(q + epsilon) - center) / scale]`.

    Args:
        source_counts: `[m, D, bins]` integers.
        channel_weights: `[D]` float.
        center: as in `lift_targets`.
        scale: as in `lift_targets`.
        epsilon: as in `lift_targets`.

    Returns:
        `[m, 2 D bins + 1]` float64. Search them by inner product only: their lengths differ.
    """
    weights = np.asarray(channel_weights)[:, None]
    q = distributions(source_counts)
    logs = np.log(q + epsilon)
    logs -= center
    v, first, second = _empty_lift(q.shape)
    np.multiply(logs, weights / scale, out=first)
    np.multiply(q, weights * scale, out=second)
    v[:, -1] = -np.vecdot(q.reshape(len(q), -1), v[:, : q[0].size])
    return v


def distributions(counts: np.ndarray) -> np.ndarray:
    """Histograms that sum to 1, `[n, D, bins]` float64.

    Raises:
        InputError: a histogram has no counts.
    """
    totals = counts.sum(axis=2, keepdims=True, dtype=np.int64)
    if (totals <= 0).any():
        image, channel = np.argwhere(totals[..., 0] <= 0)[0]
        raise InputError(f"the histogram of image {image}, channel {channel} has no counts; every map has pixels")
    # in one memory layout, because the order in which a sum adds its terms depends on it
    histograms: np.ndarray = np.divide(counts, totals, order="C")
    return histograms


def _empty_lift(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Room for lifted vectors, and its first and second half as `[n, D, bins]`."""
    n, channels, bins = shape
    lifted = np.empty((n, 2 * channels * bins + 1))
    halves = lifted[:, :-1].reshape(n, 2, channels, bins)
    return lifted, halves[:, 0], halves[:, 1]
