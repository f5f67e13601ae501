"""From a decoded image of any size to the squares, and the sizes of the whole image, that models and filter banks see.

The views first bring the image to 8/7 of the square's side (256 for 224), as the authors did, and cut the center. Images
are `[h, w, 3]` uint8, views float32 in 0..255; `image_size` is the side S of a square, `side` another length, in pixels.
"""

import tensorflow as tf

CROPS = {"center": 1, "flip": 2, "ten": 10}
"""Number of crops by view."""

_SCALES = (1, 8 / 7, 12 / 7, 15 / 7, 20 / 7)  # 224, 256, 384, 480 and 640 at 224


def enlarged(image_size: int) -> int:
    """The side, in pixels, to which an image is resized before a square of `image_size` is cut from it."""
    return round(image_size * 8 / 7)


def center_view(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The center of the image with its aspect kept, `[S, S, 3]`: what evaluation, entropies and serving see.

    The shorter side is resized to `enlarged(image_size)`, see `resize_short_side`.
    """
    view = _center_crop(resize_short_side(image, enlarged(image_size)), (image_size, image_size))
    return tf.ensure_shape(view, (image_size, image_size, 3))


def resize_short_side(image: tf.Tensor, side: int) -> tf.Tensor:
    """The image with its shorter side resized to `side` and its aspect kept (bilinear, half-pixel centers, antialiased).

    Of an image more than twice as long as wide only the middle, twice as long as wide, is kept: else a strip of one
    pixel by thousands, of a few bytes on disk, would grow to gigabytes. `[H, W, 3]`, `min(H, W) == side`.
    """
    size = tf.shape(image)[:2]
    middle = _center_crop(image, tf.minimum(size, 2 * tf.reduce_min(size)))
    size = tf.cast(tf.shape(middle)[:2], tf.float64)
    height_width = tf.cast(tf.round(size * (side / tf.reduce_min(size))), tf.int32)
    return tf.image.resize(middle, height_width, antialias=True)


def squashed_view(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The center of the image resized to a square whatever its aspect, `[S, S, 3]`: what descriptors are taken from.

    Bilinear with half-pixel centers and no antialiasing.
    """
    side = enlarged(image_size)
    view = _center_crop(tf.image.resize(image, (side, side)), (image_size, image_size))
    return tf.ensure_shape(view, (image_size, image_size, 3))


def crops(image: tf.Tensor, image_size: int, view: str) -> tf.Tensor:
    """The crops of one view, `[CROPS[view], S, S, 3]`.

    `"center"` is the center view; `"flip"` that and its mirror image; `"ten"`, of the image with a shorter side of
    `enlarged(S)`, the four corners and the center, then the mirror images of the five.

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


def _center_crop(image: tf.Tensor, size: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    top, left = tf.unstack((tf.shape(image)[:2] - size) // 2)
    return tf.slice(image, (top, left, 0), (size[0], size[1], 3))
