"""Encoded bytes to upright RGB tensors, by the one decoder that everything uses, also inside the served graph; views."""

from sjft_tf.images.decoding import MAX_PIXELS, WindowedImage, decode
from sjft_tf.images.geometry import center_view, enlarged, resize_short_side, squashed_view
from sjft_tf.images.tolerant import try_views
from sjft_tf.images.views import CROPS, crops, short_sides

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
