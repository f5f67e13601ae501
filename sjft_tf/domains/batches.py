"""Batches of views of a domain's images, read and decoded in parallel and handed out in order."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from sjft_tf.domains.domain import Domain
from sjft_tf.images.decoding import decode


def image_batches(
    domain: Domain,
    view: Callable[[tf.Tensor], tf.Tensor],
    *,
    batch_size: int,
    indices: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Views of a domain's images, the same ones in the same order each time the dataset is read.

    Two batches at most wait decoded, so memory does not grow with the domain.

    Args:
        domain: where the images come from.
        view: `[h, w, 3]` uint8 to the array wanted, of the same shape for every image (see `geometry`).
        batch_size: images a batch; the last batch may be smaller.
        indices: which images, in which order; all, if None.
    """
    indices = np.arange(len(domain)) if indices is None else np.asarray(indices)
    dataset = tf.data.Dataset.from_tensor_slices(indices.astype(np.int64)).batch(batch_size)
    dataset = dataset.map(lambda batch: read_encoded(domain, batch)).prefetch(2).unbatch()
    dataset = dataset.map(lambda encoded: view(decode(encoded)), num_parallel_calls=tf.data.AUTOTUNE)
    n_batches = -(-len(indices) // batch_size)
    return dataset.batch(batch_size).apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


def read_encoded(domain: Domain, indices: tf.Tensor) -> tf.Tensor:
    """The encoded images at `indices`, `[b]` int, as `[b]` string inside a `tf.data` pipeline.

    Python does the reading, so the result cannot be part of a SavedModel.
    """

    def read(positions: np.ndarray) -> np.ndarray:
        return np.array(domain.encoded(positions), dtype=object)

    encoded = tf.numpy_function(read, [indices], tf.string, stateful=False)
    return tf.ensure_shape(encoded, (None,))
