"""WebP files, whose header has to be read ahead of TensorFlow's decoder.

It knows no limit of pixels, and of an animation without alpha it writes beyond its memory (2.20.0), so that no animation
may reach it.
"""

import tensorflow as tf

from sjft_tf.images.octets import is_at, little_endian, octets, required, within_limit


def is_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Whether the scalar string begins as a WebP file."""
    return is_at(encoded, 0, b"RIFF") & is_at(encoded, 8, b"WEBP")


def decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """The image in a still WebP file, without its alpha. See `decode`; refused is also an animation."""
    is_animation = is_at(encoded, 12, b"VP8X") & (octets(encoded, 20, 1)[0] // 2 % 2 == 1)
    with within_limit(_size(encoded)), required(~is_animation, "an animated WebP; save a still image"):
        image = tf.io.decode_image(encoded, channels=0, expand_animations=False)
    return tf.ensure_shape(image, (None, None, None))[:, :, :3]


def _size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width in the header; zeros if it is of no known kind."""
    lossy = little_endian(tf.reshape(octets(encoded, 26, 4), (2, 2))) % (1 << 14)
    packed = little_endian(octets(encoded, 21, 4))
    lossless = 1 + tf.stack([packed % (1 << 14), tf.bitwise.right_shift(packed, 14) % (1 << 14)])
    extended = 1 + little_endian(tf.reshape(octets(encoded, 24, 6), (2, 3)))
    sizes = {b"VP8 ": lossy, b"VP8L": lossless, b"VP8X": extended}
    return sum(tf.where(is_at(encoded, 12, name), size, 0) for name, size in sizes.items())[::-1]
