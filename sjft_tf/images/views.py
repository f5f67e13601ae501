"""What a test sees of an image: square crops, and sizes of the whole image (specification 7)."""

import tensorflow as tf

from sjft_tf.images import center_view, enlarged, resize_short_side

CROPS = {"center": 1, "flip": 2, "ten": 10}
"""Number of crops by view."""

_SCALES = (1, 8 / 7, 12 / 7, 15 / 7, 20 / 7)  # 224, 256, 384, 480 and 640 at 224


def crops(image: tf.Tensor, image_size: int, view: str) -> tf.Tensor:
    """The crops of one view.

    Args:
        image: `[h, w, 3]` uint8.
        image_size: S, the side of a crop in pixels.
        view: `"center"`, the center view; `"flip"`, that and its mirror image; `"ten"`, of the image with a shorter
            side of `enlarged(S)` the four corners and the center, then the mirror images of the five.

    Returns:
        `[CROPS[view], S, S, 3]` float32 in 0..255.

    Reference: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NIPS 2012, for ten.
    """
    squares = _corners_and_center(image, image_size) if view == "ten" else center_view(image, image_size)[tf.newaxis]
    return squares if view == "center" else tf.concat([squares, squares[:, :, ::-1]], axis=0)


def short_sides(image_size: int) -> list[int]:
    """The shorter sides, in pixels, of the whole images of a multi-scale test; the first is `image_size`.

    Reference: He et al., "Deep residual learning for image recognition", CVPR 2016: 224, 256, 384, 480, 640.
    """
    return [round(image_size * scale) for scale in _SCALES]


def _corners_and_center(image: tf.Tensor, image_size: int) -> tf.Tensor:
    resized = resize_short_side(image, enlarged(image_size))
    bottom, right = tf.unstack(tf.shape(resized)[:2] - image_size)
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    size = (image_size, image_size, 3)
    return tf.stack([tf.ensure_shape(tf.slice(resized, (*place, 0), size), size) for place in places])
