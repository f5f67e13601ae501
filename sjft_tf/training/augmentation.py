"""What training sees of an image: a random square, mirrored half the time, its colors changed if asked.

All of it is a pure function of the image and of a row of numbers that are uniform in [0, 1), drawn elsewhere: nothing
here draws. Which number decides what is said below.
"""

import math

import tensorflow as tf

from sjft_tf.images import WindowedImage, enlarged

GEOMETRIES = ("scale", "crop", "squash")
"""How `augmented_crop` resizes."""

_SCALE, _TOP, _LEFT, _MIRROR = 0, 1, 2, 3
_RADII, _ANGLES = slice(4, 7), slice(7, 10)  # of the three normal numbers of the PCA noise
_BRIGHTNESS, _CONTRAST, _SATURATION = 10, 11, 12

# Of the colors of ImageNet's pixels, as Krizhevsky et al. (2012) published them in use: 0..255, RGB by rows.
_COMPONENTS = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
_SPREADS = [55.46, 4.794, 1.148]
_LUMA = [0.299, 0.587, 0.114]


def augmented_crop(encoded: tf.Tensor, numbers: tf.Tensor, *, image_size: int, geometry: str) -> tf.Tensor:
    """A random square of the resized image, made from the part of the file that it needs.

    The image is resized (bilinear, half-pixel centers, antialiased) and a square is cut at a uniformly drawn position:

    - "scale": the shorter side becomes a uniformly drawn whole number of 8/7 to 15/7 of `image_size` (256 to 480 pixels
      for 224), the aspect is kept; of an image more than twice as long as wide only the middle counts, as in
      `resize_short_side`.
    - "crop": the same with 8/7 always.
    - "squash": both sides become 8/7 of `image_size`, whatever the aspect.

    Args:
        encoded: scalar string, see `decode`.
        numbers: `[13 or more]` float32 in [0, 1); the first three decide scale, top and left.
        image_size: side of the square in pixels.
        geometry: one of `GEOMETRIES`, see above.

    Returns:
        `[image_size, image_size, 3]` float32 in 0..255.
    """
    image = WindowedImage(encoded)
    smallest, largest = enlarged(image_size), largest_side(image_size, geometry)
    if geometry == "squash":
        kept, resized = image.size, tf.constant([smallest, smallest])
    else:
        side = smallest + _whole(numbers[_SCALE], largest - smallest + 1)
        kept = tf.minimum(image.size, 2 * tf.reduce_min(image.size))
        ratio = tf.cast(side, tf.float64) / tf.cast(tf.reduce_min(kept), tf.float64)
        resized = tf.cast(tf.round(tf.cast(kept, tf.float64) * ratio), tf.int32)
    corner = _whole(tf.stack([numbers[_TOP], numbers[_LEFT]]), resized - image_size + 1)
    return _resized_window(image, (image.size - kept) // 2, kept, resized, corner, image_size)


def largest_side(image_size: int, geometry: str) -> int:
    """The longest that `augmented_crop` makes the shorter side of an image, in pixels: of more it has no use."""
    return round(image_size * 15 / 7) if geometry == "scale" else enlarged(image_size)


def recolored(images: tf.Tensor, numbers: tf.Tensor, *, color: float, pca_noise: float) -> tf.Tensor:
    """Images mirrored half the time, and with other colors.

    In this order: brightness (the image times a factor), contrast (distances from the mean luma of the image), saturation
    (distances from each pixel's own luma), each by a factor that is uniform in `1 - color` to `1 + color`; then the
    noise of AlexNet along the principal components of ImageNet's colors. In the end values are cut to 0..255.

    Args:
        images: `[B, h, w, 3]` float32 in 0..255.
        numbers: `[B, 13 or more]` float32 in [0, 1); number 3 mirrors where it is below 1/2, 4 to 9 make the noise, and
            10, 11, 12 are brightness, contrast and saturation.
        color: in 0..1; 0 changes none of the three.
        pca_noise: standard deviation of the noise in units of each component's spread; 0.1 in the paper, 0 for none.

    Returns:
        `[B, h, w, 3]` float32 in 0..255.
    """
    # With a vector for its condition, Select copies whole images; tf.where would take seven times as long.
    mirrored = tf.raw_ops.Select(condition=numbers[:, _MIRROR] < 0.5, x=tf.reverse(images, [2]), y=images)
    if not color and not pca_noise:
        return mirrored
    shape = tf.shape(images)
    rows = tf.reshape(mirrored, (shape[0], shape[1], -1))  # long rows are added to fast
    shift = _component_noise(numbers, pca_noise)
    if color:
        mean = tf.reduce_mean(tf.reshape(tf.reduce_mean(rows, 1), (shape[0], -1, 3)), 1)
        matrix, offset = _color_change(mean, numbers, color)
        changed = tf.linalg.matmul(tf.reshape(mirrored, (shape[0], -1, 3)), matrix, transpose_b=True)
        rows, shift = tf.reshape(changed, tf.shape(rows)), shift + offset
    changed = rows + tf.tile(shift, (1, shape[2]))[:, tf.newaxis]
    changed = tf.raw_ops.ClipByValue(t=changed, clip_value_min=0.0, clip_value_max=255.0)
    return tf.ensure_shape(tf.reshape(changed, shape), images.shape)


def _whole(number: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """A number uniform in [0, 1) as a whole one of 0 to `count - 1`."""
    return tf.minimum(tf.cast(number * tf.cast(count, tf.float32), tf.int32), count - 1)  # the product may round up


def _resized_window(
    image: WindowedImage, start: tf.Tensor, kept: tf.Tensor, resized: tf.Tensor, corner: tf.Tensor, side: int
) -> tf.Tensor:
    """The square at `corner` of what results when the part `kept` of the image, from `start` on, is `resized`.

    `[side, side, 3]` float32. Only the pixels under the square and within reach of the resizing kernel are decoded.
    """
    scale = tf.cast(resized, tf.float32) / tf.cast(kept, tf.float32)
    reach = tf.maximum(1 / scale, 1) + 1  # half the width of the kernel, and a pixel for rounding
    first = tf.cast(corner, tf.float32) / scale
    begin = tf.maximum(tf.cast(tf.floor(first - reach), tf.int32), 0)
    end = tf.minimum(tf.cast(tf.math.ceil(first + side / scale + reach), tf.int32), kept)
    window = image.window(tf.concat([start + begin, end - begin], 0))
    translation = tf.cast(begin, tf.float32) * scale - tf.cast(corner, tf.float32)
    geometry = {"size": (side, side), "scale": scale, "translation": translation}
    square = tf.raw_ops.ScaleAndTranslate(images=window[tf.newaxis], **geometry, kernel_type="triangle", antialias=True)
    return tf.ensure_shape(square[0], (side, side, 3))


def _component_noise(numbers: tf.Tensor, deviation: float) -> tf.Tensor:
    """`[B, 3]`: what is added to red, green and blue; the normal numbers are Box and Muller's."""
    radii, angles = numbers[:, _RADII], 2 * math.pi * numbers[:, _ANGLES]
    normal = tf.sqrt(-2 * tf.math.log1p(-radii)) * tf.cos(angles)
    return tf.linalg.matmul(deviation * normal * _SPREADS, _COMPONENTS, transpose_b=True)


def _color_change(mean: tf.Tensor, numbers: tf.Tensor, color: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Brightness, contrast and saturation as one affine map of colors: `[B, 3, 3]` matrices and `[B, 1]` offsets.

    `mean` is `[B, 3]`, the mean color of each image; factors differ from 1 by `color` at most, see `recolored`.
    """
    factors = tf.stack([numbers[:, index] for index in (_BRIGHTNESS, _CONTRAST, _SATURATION)])
    brightness, contrast, saturation = tf.unstack(1 + color * (2 * factors[..., tf.newaxis, tf.newaxis] - 1))
    to_luma = tf.broadcast_to(tf.constant(_LUMA), (3, 3))
    matrix = brightness * contrast * (saturation * tf.eye(3) + (1 - saturation) * to_luma)
    gray = tf.reduce_sum(mean * _LUMA, -1, keepdims=True)
    return matrix, ((1 - contrast) * brightness)[..., 0] * gray
