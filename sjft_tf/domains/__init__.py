"""Labelled image collections: what is in them, their encoded bytes by index, and the one decoder.

Neighbors, augmentation and batches of training are other rooms' business.
"""

from sjft_tf.domains.cached_images import CachedImages
from sjft_tf.domains.decoding import MAX_PIXELS, WindowedImage, as_pixels, decode
from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.domains.folder import ImageFolder
from sjft_tf.domains.geometry import center_view, enlarged, resize_short_side, squashed_view
from sjft_tf.domains.images import image_batches, read_encoded
from sjft_tf.domains.rejected import rejected_csv
from sjft_tf.domains.synthetic import SyntheticImages
from sjft_tf.domains.table import ImageTable
from sjft_tf.domains.tfds_images import TFDSImages
from sjft_tf.domains.tfrecord_images import TFRecordImages
from sjft_tf.domains.tolerant import try_views
from sjft_tf.domains.union import Union

__all__ = [
    "MAX_PIXELS",
    "CachedImages",
    "Domain",
    "ImageFolder",
    "ImageTable",
    "Rejected",
    "SyntheticImages",
    "TFDSImages",
    "TFRecordImages",
    "Union",
    "WindowedImage",
    "as_pixels",
    "center_view",
    "decode",
    "enlarged",
    "image_batches",
    "read_encoded",
    "rejected_csv",
    "resize_short_side",
    "squashed_view",
    "try_views",
]
