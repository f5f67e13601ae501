"""The one decoder: encoded bytes to upright RGB, as TensorFlow ops that a SavedModel can hold.

JPEG is decoded with libjpeg's accurate transform, so that the result equals Pillow's to the bit. Alpha is dropped, not
composed, as Pillow's `convert("RGB")` does; of 16 bits the upper 8 are kept.

Beside the formats of image files there is one of our own, for images kept ready for use (`CachedImages`): the pixels as
they are behind a header of 16 bytes. It is checked like the others, so that a served model may meet it without harm.
"""

import contextlib

import numpy as np
import tensorflow as tf

from sjft_tf.images.bmp import bmp_size, decode_bmp
from sjft_tf.images.exif import may_be_turned, orientation, upright
from sjft_tf.images.gif import first_frame
from sjft_tf.images.octets import big_endian, octets

MAX_PIXELS = 64_000_000
"""Pixels that a file may claim to have; above, it is taken for a decompression bomb and not decoded."""

_JPEG, _PIXELS = b"\xff\xd8\xff", b"sjft-rgb"
_MAGIC = (_JPEG, b"\x89PNG", b"GIF8", b"BM", _PIXELS)
_PIXELS_HEADER = len(_PIXELS) + 8  # the magic, then height and width as little-endian int32
_CHROMA_REACH = 2  # columns beyond a window on which its colors depend, where a JPEG holds them at half the resolution


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
    image = tf.cond(_is_common(encoded), lambda: _decode_jpeg(encoded), lambda: _decode_any(encoded))
    return tf.ensure_shape(image, (None, None, 3))


class WindowedImage:
    """An encoded image of which no more is decoded than is asked for, as far as its format allows.

    Of an upright JPEG and of `as_pixels` the window alone is made, a JPEG's rows above it being read over, and those
    below not read; everything else is decoded whole, once, and then cut. So damage below a JPEG's window goes unnoticed.

    Args:
        encoded: scalar string, as for `decode`, which says what is refused.

    Attributes:
        size: `[2]` int32, height and width of the upright image.
    """

    def __init__(self, encoded: tf.Tensor) -> None:
        self._encoded = encoded
        is_pixels = _is_format(encoded, _PIXELS)
        self._kind = tf.where(_is_common(encoded), 0, tf.where(is_pixels, 1, 2))
        nothing = tf.zeros((0, 0, 3), tf.uint8)
        openers = [lambda: (_jpeg_size(encoded), nothing), lambda: (_pixels_size(encoded), nothing), self._decode]
        self.size, self._whole = tf.switch_case(self._kind, openers)

    def window(self, window: tf.Tensor) -> tf.Tensor:
        """A part of the image, equal to the bit to the same part of `decode(encoded)`.

        Args:
            window: `[4]` int32: top, left, height, width; not empty, and within the image.

        Returns:
            `[height, width, 3]` uint8.
        """
        cutters = [
            lambda: _jpeg_window(self._encoded, self.size, window),
            lambda: _pixels_window(self._encoded, self.size, window),
            lambda: _cut(self._whole, window),
        ]
        return tf.ensure_shape(tf.switch_case(self._kind, cutters), (None, None, 3))

    def _decode(self) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.ensure_shape(_decode_any(self._encoded), (None, None, 3))
        return tf.shape(image)[:2], image


def as_pixels(image: np.ndarray) -> bytes:
    """The image in the form that is decoded fastest.

    Args:
        image: `[h, w, 3]` uint8.

    Returns:
        `16 + 3 * h * w` bytes, for `decode` and `WindowedImage`.
    """
    return _PIXELS + np.array(image.shape[:2], "<i4").tobytes() + image.tobytes()


def _is_common(encoded: tf.Tensor) -> tf.Tensor:
    """Whether it is a JPEG that needs no turning, as most images in data sets."""
    return _is_format(encoded, _JPEG) & ~may_be_turned(encoded)


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([_jpeg_size(encoded)]):
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    size = tf.io.extract_jpeg_shape(encoded)[:2]
    with _within_limit(size):
        return tf.identity(size)


def _jpeg_window(encoded: tf.Tensor, size: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    top, left, height, width = tf.unstack(window)
    first, end = tf.maximum(left - _CHROMA_REACH, 0), tf.minimum(left + width + _CHROMA_REACH, size[1])
    crop = tf.stack([top, first, height, end - first])
    wider = tf.io.decode_and_crop_jpeg(encoded, crop, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.slice(wider, (0, left - first, 0), (height, width, 3))


# Not inlined: the ops of a branch not taken cost time too, and together these cost more than decoding a small JPEG.
@tf.function(
    input_signature=[tf.TensorSpec((), tf.string)], autograph=False, experimental_attributes={"_noinline": True}
)
def _decode_any(encoded: tf.Tensor) -> tf.Tensor:
    is_format = tf.stack([_is_format(encoded, magic) for magic in _MAGIC])
    branches = [_decode_turned_jpeg, _decode_png, _decode_gif, _decode_bmp, _decode_pixels, _refuse]
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


def _decode_pixels(encoded: tf.Tensor) -> tf.Tensor:
    size = _pixels_size(encoded)
    return _pixels_window(encoded, size, tf.concat([[0, 0], size], 0))


def _pixels_size(encoded: tf.Tensor) -> tf.Tensor:
    size = tf.io.decode_raw(tf.strings.substr(encoded, len(_PIXELS), 8), tf.int32, fixed_length=8)
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    with _within_limit(size):
        is_whole = length == _PIXELS_HEADER + 3 * tf.reduce_prod(tf.cast(size, tf.int64))
    with tf.control_dependencies([tf.debugging.Assert(is_whole, ["the pixels break off"])]):
        return tf.identity(size)


def _pixels_window(encoded: tf.Tensor, size: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    stride = 3 * size[1]
    rows = tf.strings.substr(encoded, _PIXELS_HEADER + stride * window[0], stride * window[2])
    pixels = tf.reshape(tf.io.decode_raw(rows, tf.uint8), (window[2], size[1], 3))
    return tf.slice(pixels, (0, window[1], 0), (window[2], window[3], 3))


def _cut(image: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    return tf.slice(image, tf.concat([window[:2], [0]], 0), tf.concat([window[2:], [3]], 0))


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
