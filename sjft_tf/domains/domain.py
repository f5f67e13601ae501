"""What every room may ask of a labeled image collection, and batches of its images."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from sjft_tf.files import csv_text
from sjft_tf.images import decode


class Rejected(NamedTuple):
    """A file that was found and left out, and why, in words for the user."""

    id: str
    reason: str


class Domain(Protocol):
    """A labeled image collection with random access; the order of its images never changes."""

    name: str  # a short one, for messages and reports
    ids: Sequence[str]  # `[n]` unique, sorted
    labels: np.ndarray  # `[n]` int32, positions in `class_names`
    class_names: Sequence[str]  # a class may have no image
    rejected: Sequence[Rejected] = ()  # what was left out when the collection was indexed

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded bytes (JPEG, PNG, GIF, BMP or WebP) of the images at `indices`, in that order."""

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and image bytes; not of where the files lie."""


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
        view: `[h, w, 3]` uint8 to the array wanted, of the same shape for every image (see `geometry`).
        batch_size: images a batch; the last batch may be smaller.
        indices: which images, in which order; all, if None.
    """
    indices = np.arange(len(domain)) if indices is None else np.asarray(indices)
    dataset = tf.data.Dataset.from_tensor_slices(indices.astype(np.int64)).batch(batch_size)
    dataset = dataset.map(lambda batch: read_encoded(domain, batch)).prefetch(2).unbatch()
    dataset = dataset.map(lambda encoded: view(decode(encoded, in_model=False)), num_parallel_calls=tf.data.AUTOTUNE)
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


def rejected_csv(domains: Mapping[str, Domain]) -> str:
    """The text of `rejected.csv`: `domain,id,reason` of each file that was left out, by role (target, ...), then by id."""
    rows = ((role, *file) for role, domain in domains.items() for file in domain.rejected)
    return csv_text(("domain", "id", "reason"), rows)
