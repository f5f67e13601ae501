"""Bounds, fine histograms and descriptors of response maps, as TensorFlow graphs (Ge & Yu, CVPR 2017, section 3.2).

The bin of each response is found in compiled code, element by element; counting is left to TensorFlow's `bincount`.
"""

import numpy as np
import tensorflow as tf

from sjft_tf.descriptors.edges import BinEdges


def bounds(responses: tf.Tensor) -> tf.Tensor:
    """Least and greatest response of each channel: `[B, C, h, w]` to `[2, C, 1]`."""
    by_image = [tf.reduce_min(responses, (2, 3)), tf.reduce_max(responses, (2, 3))]  # pixels first: six times faster
    return tf.stack([tf.reduce_min(by_image[0], 0), tf.reduce_max(by_image[1], 0)])[..., None]


def fine_counts(responses: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, intervals: int) -> tf.Tensor:
    """Fine histogram of each channel over the whole batch.

    A response x falls in interval trunc((x - lower) / ((upper - lower) / I)), clamped to 0..I - 1; in float64.

    Args:
        responses: `[B, C, h, w]` float32, finite.
        lower, upper: `[C]` float32.
        intervals: I, to each channel.

    Returns:
        `[C, I]` int32.
    """
    numbered = _fine_indices(responses, lower, upper, intervals)
    n = responses.shape[1] * intervals
    return tf.reshape(tf.math.bincount(tf.reshape(numbered, [-1]), minlength=n, maxlength=n), (-1, intervals))


def histogram_counts(responses: tf.Tensor, thresholds: tf.Tensor) -> tf.Tensor:
    """Histogram of each channel of each image.

    Args:
        responses: `[B, C, h, w]` float32.
        thresholds: `[C, bins - 1]` float32, from `bin_thresholds`.

    Returns:
        `[B, C, bins]` uint16, which sum to h * w; more than 65,535 pixels overflow.
    """
    n_channels, height, width = responses.shape[1:]
    bins = thresholds.shape[1] + 1
    numbered = tf.reshape(_bin_indices(responses, thresholds), (-1, n_channels * height * width))
    n = n_channels * bins
    counts = tf.math.bincount(numbered, minlength=n, maxlength=n, axis=-1)
    return tf.cast(tf.reshape(counts, (-1, n_channels, bins)), tf.uint16)


def bin_thresholds(edges: BinEdges) -> np.ndarray:
    """`[D, bins - 1]` float32 such that the bin of a response is the number of thresholds at or below it.

    They are the edges, but for those that equal the lower bound: responses at the bound belong to the first bin, so
    these move to the next number above, not counting subnormal ones, which TensorFlow takes for 0.
    """
    lower, tiny = edges.lower[:, None], np.finfo(np.float32).tiny
    above = np.nextafter(lower, np.float32(np.inf))
    above = np.where(np.abs(above) < tiny, np.where(lower < 0, np.float32(0), tiny), above)
    return np.where(edges.edges <= lower, above, edges.edges)


@tf.function(jit_compile=True, autograph=False)
def _fine_indices(responses: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, intervals: int) -> tf.Tensor:
    """Fine interval of each response, numbered through all channels."""
    lower, upper = (tf.cast(bound, tf.float64)[:, None, None] for bound in (lower, upper))
    width = tf.where(upper > lower, (upper - lower) / intervals, 1)
    indices = tf.cast((tf.cast(responses, tf.float64) - lower) / width, tf.int32)
    return tf.clip_by_value(indices, 0, intervals - 1) + _first_of_channel(responses, intervals)


@tf.function(jit_compile=True, autograph=False)
def _bin_indices(responses: tf.Tensor, thresholds: tf.Tensor) -> tf.Tensor:
    """Bin of each response, numbered through all channels."""
    indices = _first_of_channel(responses, thresholds.shape[1] + 1)
    for threshold in tf.unstack(thresholds[:, None, None], axis=-1):
        indices += tf.cast(responses >= threshold, tf.int32)
    return indices


def _first_of_channel(responses: tf.Tensor, per_channel: int) -> tf.Tensor:
    return tf.range(responses.shape[1])[:, None, None] * per_channel
