"""Encoded bytes to upright RGB tensors, by the one decoder that everything uses, also inside the served graph; views."""

from sjft_tf.images.decoding import WindowedImage, decode, try_views
from sjft_tf.images.geometry import CROPS, center_view, crops, enlarged, resize_short_side, short_sides, squashed_view
from sjft_tf.images.octets import MAX_PIXELS

__all__ = [
    "CROPS",
    "MAX_PIXELS",
    "WindowedImage",
    "center_view",
    "crops",
    "decode",
    "enlarged",
    "resize_short_side",
    "short_sides",
    "squashed_view",
    "try_views",
]
