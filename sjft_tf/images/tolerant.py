"""Decoding that survives any bytes, for a served model: a broken image must not fail the request that it came in.

A TensorFlow graph has no way to catch the error of an op but one: a `tf.data` pipeline may drop the elements that
failed. So a batch gets a pipeline of its own inside the graph, of which the single result is taken. No Python runs, so it
lives in a SavedModel, under any runtime that holds all CPU kernels (not TensorFlow Lite). It costs about a millisecond.
"""

from collections.abc import Callable

import tensorflow as tf

from sjft_tf.images.decoding import decode


def try_views(encoded: tf.Tensor, view: Callable[[tf.Tensor], tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Views of a batch of images, some of which may be broken; they are decoded in parallel.

    Args:
        encoded: `[n]` string, any bytes; `n` may be 0.
        view: `[h, w, 3]` uint8 to an array of the same shape for every image (see `geometry`).

    Returns:
        `[n, ...]`, with the view of a black image where decoding failed, and `[n]` bool, where it did not.
    """
    count = tf.size(encoded, tf.int64)
    numbered = tf.data.Dataset.from_tensor_slices(encoded).enumerate()
    views = numbered.map(lambda row, file: (row, view(decode(file))), num_parallel_calls=tf.data.AUTOTUNE)
    blank = view(tf.zeros((1, 1, 3), tf.uint8))
    last = tf.data.Dataset.from_tensors((count, blank))
    rows, good = _lean(views.ignore_errors().concatenate(last).batch(count + 1)).get_single_element()
    everywhere = tf.repeat(blank[tf.newaxis], count, axis=0)
    rows, good = rows[:-1, tf.newaxis], good[:-1]
    is_good = tf.scatter_nd(rows, tf.ones_like(rows[:, 0], tf.bool), [count])
    return tf.tensor_scatter_nd_update(everywhere, rows, good), is_good


def _lean(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Without the rewriting and tuning that a pipeline of one element never earns back."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return dataset.with_options(options)
