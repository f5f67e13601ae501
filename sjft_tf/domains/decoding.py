"""The one decoder: encoded bytes to upright RGB, as TensorFlow ops that a SavedModel can hold.

JPEG is decoded with libjpeg's accurate transform, so that the result equals Pillow's to the bit. Alpha is dropped, not
composed, as Pillow's `convert("RGB")` does; of 16 bits the upper 8 are kept.
"""

import contextlib

import tensorflow as tf

from sjft_tf.domains.bmp import bmp_size, decode_bmp
from sjft_tf.domains.exif import may_be_turned, orientation, upright
from sjft_tf.domains.gif import first_frame
from sjft_tf.domains.octets import big_endian, octets

MAX_PIXELS = 64_000_000
"""Pixels that a file may claim to have; above, it is taken for a decompression bomb and not decoded."""

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """The image in a JPEG, PNG, GIF or BMP file, upright and in color.

    JPEG may be gray, YCbCr or CMYK, baseline or progressive, with EXIF orientation; PNG of any depth, with palette,
    alpha or interlacing; of a GIF the first frame is taken; for BMP see `decode_bmp`.

    Args:
        encoded: scalar string, the bytes of the file; its format is told from them.

    Returns:
        `[h, w, 3]` uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no such image, break off, are damaged where the format can tell
            (PNG has checksums; JPEG's coefficients have none), or claim more than `MAX_PIXELS`.
    """
    is_common = _is_format(encoded, b"\xff\xd8\xff") & ~may_be_turned(encoded)
    image = tf.cond(is_common, lambda: _decode_jpeg(encoded), lambda: _decode_any(encoded))
    return tf.ensure_shape(image, (None, None, 3))


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    with _within_limit(tf.io.extract_jpeg_shape(encoded)[:2]):
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


# Not inlined: the ops of a branch not taken cost time too, and together these cost more than decoding a small JPEG.
@tf.function(
    input_signature=[tf.TensorSpec((), tf.string)], autograph=False, experimental_attributes={"_noinline": True}
)
def _decode_any(encoded: tf.Tensor) -> tf.Tensor:
    is_format = tf.stack([_is_format(encoded, magic) for magic in _MAGIC])
    branches = [_decode_turned_jpeg, _decode_png, _decode_gif, _decode_bmp, _refuse]
    number = tf.argmax(tf.concat([is_format, [True]], 0), output_type=tf.int32)
    return tf.switch_case(number, [lambda branch=branch: branch(encoded) for branch in branches])


def _decode_turned_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return upright(_decode_jpeg(encoded), orientation(encoded))


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    with _within_limit(big_endian(tf.reshape(octets(encoded, 16, 8), (2, 4)))):
        return tf.io.decode_png(encoded, channels=3)


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    still, size = first_frame(encoded)
    with _within_limit(size):
        return tf.io.decode_gif(still)[0]


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    with _within_limit(tf.abs(bmp_size(encoded))):
        return decode_bmp(encoded)


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(False, ["not a JPEG, PNG, GIF or BMP image"])]):
        return tf.zeros((1, 1, 3), tf.uint8)


def _is_format(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _within_limit(size: tf.Tensor) -> contextlib.AbstractContextManager:
    """A context whose ops run only if `size`, height and width, is one that a file may claim."""
    is_allowed = tf.reduce_all(size > 0) & (tf.reduce_prod(tf.cast(size, tf.int64)) <= MAX_PIXELS)
    message = f"its header says that height and width are other than 1 to {MAX_PIXELS:,} pixels in all:"
    return tf.control_dependencies([tf.debugging.Assert(is_allowed, [message, size])])
