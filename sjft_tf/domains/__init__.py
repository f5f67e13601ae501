"""Labelled image collections: what is in them, their encoded bytes by index, and the one decoder.

Labels, neighbors and augmentation are other rooms' business.
"""

from sjft_tf.domains.decoding import MAX_PIXELS, decode
from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.domains.folder import ImageFolder
from sjft_tf.domains.geometry import center_view, enlarged, resize_short_side, squashed_view
from sjft_tf.domains.images import image_batches, read_encoded
from sjft_tf.domains.tolerant import try_decode, try_views

__all__ = [
    "Domain",
    "ImageFolder",
    "MAX_PIXELS",
    "Rejected",
    "center_view",
    "decode",
    "enlarged",
    "image_batches",
    "read_encoded",
    "resize_short_side",
    "squashed_view",
    "try_decode",
    "try_views",
]
