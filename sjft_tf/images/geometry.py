"""From a decoded image of any size to the square that models and filter banks see.

Both views first bring the image to 8/7 of the square's side (256 for 224), as the authors did, and cut the center.
"""

import tensorflow as tf


def enlarged(image_size: int) -> int:
    """The side, in pixels, to which an image is resized before a square of `image_size` is cut from it."""
    return round(image_size * 8 / 7)


def center_view(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The center of the image with its aspect kept: what evaluation, entropies and serving see.

    The shorter side is resized to `enlarged(image_size)`, see `resize_short_side`.

    Args:
        image: `[h, w, 3]` uint8.
        image_size: side of the result in pixels.

    Returns:
        `[image_size, image_size, 3]` float32 in 0..255.
    """
    view = _center_crop(resize_short_side(image, enlarged(image_size)), (image_size, image_size))
    return tf.ensure_shape(view, (image_size, image_size, 3))


def resize_short_side(image: tf.Tensor, side: int) -> tf.Tensor:
    """The image with its shorter side resized to `side` and its aspect kept (bilinear, half-pixel centers, antialiased).

    Of an image more than twice as long as wide only the middle, twice as long as wide, is kept: else a strip of one
    pixel by thousands, of a few bytes on disk, would grow to gigabytes.

    Args:
        image: `[h, w, 3]` uint8.
        side: pixels.

    Returns:
        `[H, W, 3]` float32 in 0..255, `min(H, W) == side` and `max(H, W) <= 2 * side`.
    """
    size = tf.shape(image)[:2]
    middle = _center_crop(image, tf.minimum(size, 2 * tf.reduce_min(size)))
    size = tf.cast(tf.shape(middle)[:2], tf.float64)
    height_width = tf.cast(tf.round(size * (side / tf.reduce_min(size))), tf.int32)
    return tf.image.resize(middle, height_width, antialias=True)


def squashed_view(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The center of the image resized to a square whatever its aspect: what descriptors are taken from (spec 1.1).

    Bilinear with half-pixel centers and no antialiasing.

    Args:
        image: `[h, w, 3]` uint8.
        image_size: side of the result in pixels.

    Returns:
        `[image_size, image_size, 3]` float32 in 0..255.
    """
    side = enlarged(image_size)
    view = _center_crop(tf.image.resize(image, (side, side)), (image_size, image_size))
    return tf.ensure_shape(view, (image_size, image_size, 3))


def _center_crop(image: tf.Tensor, size: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    top, left = tf.unstack((tf.shape(image)[:2] - size) // 2)
    return tf.slice(image, (top, left, 0), (size[0], size[1], 3))
