"""The one decoder: encoded bytes to upright RGB, as TensorFlow ops that a SavedModel can hold.

JPEG is decoded with libjpeg's accurate transform, so that the result equals Pillow's to the bit. Alpha is dropped, not
composed, as Pillow's `convert("RGB")` does; of 16 bits the upper 8 are kept.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from sjft_tf.images.bmp import decode_bmp
from sjft_tf.images.exif import PNG_EXIF, jpeg_orientation, png_orientation, upright, webp_orientation
from sjft_tf.images.gif import decode_gif
from sjft_tf.images.octets import MAX_PIXELS, big_endian, holds, is_at, not_inlined, octets, required, within_limit
from sjft_tf.images.webp import decode_webp, is_webp

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"
_SCAN = b"\xff\xda\x00"  # the start of a JPEG's scan, of which a progressive one has about ten
_MAX_SCANS, _MAX_SCANNED = 1000, 16 * MAX_PIXELS  # the latter: of their pixels in all
_CHROMA_REACH = 2  # columns beyond a window on which its colors depend, where a JPEG holds them at half the resolution


def decode(encoded: tf.Tensor, *, in_model: bool = True) -> tf.Tensor:
    """The image in a JPEG, PNG, GIF, BMP or WebP file, upright by its EXIF, if it has any, and in color.

    JPEG may be gray, YCbCr or CMYK, baseline or progressive; PNG of any depth, with palette, alpha or interlacing; of
    a GIF the first frame is taken, in its place on the canvas; WebP must be a still; for BMP see `decode_bmp`.

    Args:
        encoded: scalar string, the bytes of the file; its format is told from them.
        in_model: whether the ops must be such as a SavedModel can hold. If not, as in a dataset, Python decodes rare kinds:
            each iterator of a dataset makes its ops ready, which would take half a second for those of all formats.

    Returns:
        `[h, w, 3]` uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no such image, break off, are damaged where the format can tell
            (PNG has checksums; JPEG's coefficients have none), claim more than `MAX_PIXELS`, or have scans beyond reason.
    """
    image = _decode_with(_decode_any, encoded) if in_model else _decode_in_dataset(encoded)
    return tf.ensure_shape(image, (None, None, 3))


class WindowedImage:
    """An encoded image of which no more is decoded than is asked for, as far as its format allows.

    Of an upright JPEG the window alone is made, rows above it being read over, and those below not read; everything else
    is decoded whole, once, and then cut. So damage below a JPEG's window goes unnoticed. For datasets, see `decode`.

    Args:
        encoded: scalar string, as for `decode`, which says what is refused.

    Attributes:
        size: `[2]` int32, height and width of the upright image.
    """

    def __init__(self, encoded: tf.Tensor) -> None:
        self._encoded, self._is_common = encoded, _is_common(encoded)
        nothing = tf.zeros((0, 0, 3), tf.uint8)
        self.size, self._whole = tf.cond(self._is_common, lambda: (_jpeg_size(encoded), nothing), self._decode)

    def window(self, window: tf.Tensor) -> tf.Tensor:
        """The part at `window`, `[4]` int32: top, left, height, width, equal to the bit to that of `decode(encoded)`.

        It must be within the image and not empty; `[height, width, 3]` uint8.
        """
        part = tf.cond(
            self._is_common,
            lambda: _jpeg_window(self._encoded, self.size, window),
            lambda: tf.slice(self._whole, tf.concat([window[:2], [0]], 0), tf.concat([window[2:], [3]], 0)),
        )
        return tf.ensure_shape(part, (None, None, 3))

    def _decode(self) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.ensure_shape(_decode_png_or_rare(self._encoded), (None, None, 3))
        return tf.shape(image)[:2], image


def try_views(encoded: tf.Tensor, view: Callable[[tf.Tensor], tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Views of a batch of images, some of which may be broken; they are decoded in parallel.

    For a served model, where a broken image must not fail the request that it came in. A TensorFlow graph has no way to
    catch the error of an op but one: a `tf.data` pipeline may drop the elements that failed. So a batch gets a pipeline
    of its own inside the graph, of which the single result is taken. No Python runs, so it lives in a SavedModel, under
    any runtime that holds all CPU kernels (not TensorFlow Lite). It costs about a millisecond.

    Args:
        encoded: `[n]` string, any bytes; `n` may be 0.
        view: `[h, w, 3]` uint8 to an array of the same shape for every image (see `geometry`).

    Returns:
        `[n, ...]`, with the view of a black image where decoding failed, and `[n]` bool, where it did not.
    """
    count = tf.size(encoded, tf.int64)
    numbered = tf.data.Dataset.from_tensor_slices(encoded).enumerate()
    views = numbered.map(lambda row, file: (row, view(decode(file))), num_parallel_calls=tf.data.AUTOTUNE)
    blank = view(tf.zeros((1, 1, 3), tf.uint8))
    last = tf.data.Dataset.from_tensors((count, blank))
    options = tf.data.Options()  # no rewriting and tuning, which a pipeline of one element never earns back
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    single = views.ignore_errors().concatenate(last).batch(count + 1).with_options(options)
    rows, good = single.get_single_element()
    everywhere = tf.repeat(blank[tf.newaxis], count, axis=0)
    rows, good = rows[:-1, tf.newaxis], good[:-1]
    is_good = tf.scatter_nd(rows, tf.ones_like(rows[:, 0], tf.bool), [count])
    return tf.tensor_scatter_nd_update(everywhere, rows, good), is_good


def _is_common(encoded: tf.Tensor) -> tf.Tensor:
    """Whether it is a JPEG that needs no turning, as most images in data sets."""
    is_jpeg = tf.strings.substr(encoded, 0, len(_JPEG)) == _JPEG  # of every image, so by fewer ops than `is_at`
    return tf.cond(is_jpeg, lambda: jpeg_orientation(encoded) == 1, lambda: False)


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([_jpeg_size(encoded)]):
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width; the scans, each of which costs as its pixels do, must not be beyond reason."""
    size = tf.io.extract_jpeg_shape(encoded)[:2]
    scans = tf.size(tf.strings.split(encoded, _SCAN, maxsplit=_MAX_SCANS)) - 1
    scanned = tf.cast(scans, tf.int64) * tf.reduce_prod(tf.cast(size, tf.int64))
    is_bounded = (scans < _MAX_SCANS) & (scanned <= _MAX_SCANNED)
    with within_limit(size), required(is_bounded, "too many scans for its height and width:", scans, size):
        return tf.identity(size)


def _jpeg_window(encoded: tf.Tensor, size: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    top, left, height, width = tf.unstack(window)
    first, end = tf.maximum(left - _CHROMA_REACH, 0), tf.minimum(left + width + _CHROMA_REACH, size[1])
    crop = tf.stack([top, first, height, end - first])
    wider = tf.io.decode_and_crop_jpeg(encoded, crop, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.slice(wider, (0, left - first, 0), (height, width, 3))


@tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
def _decode_in_dataset(encoded: tf.Tensor) -> tf.Tensor:
    return _decode_with(_decode_png_or_rare, encoded)


def _decode_with(others: Callable[[tf.Tensor], tf.Tensor], encoded: tf.Tensor) -> tf.Tensor:
    return tf.cond(_is_common(encoded), lambda: _decode_jpeg(encoded), lambda: others(encoded))


def _decode_png_or_rare(encoded: tf.Tensor) -> tf.Tensor:
    is_plain = is_at(encoded, 0, _PNG) & ~holds(encoded, PNG_EXIF)
    by_python = functools.partial(tf.numpy_function, _decode_by_python, [encoded], tf.uint8, stateful=False)
    return tf.cond(is_plain, lambda: _decode_png(encoded), by_python)


def _decode_by_python(encoded: bytes) -> np.ndarray:
    try:
        with tf.device("CPU:0"):  # where a dataset computes; op by op TensorFlow would take a GPU
            return np.asarray(_decode_any(tf.constant(encoded)))
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(error.message) from error  # the same error again, as TensorFlow takes those of Python


# Together these ops cost more than decoding a small JPEG.
@not_inlined
def _decode_any(encoded: tf.Tensor) -> tf.Tensor:
    is_kind = [*(is_at(encoded, 0, magic) for magic in (_JPEG, _PNG, b"GIF8", b"BM")), is_webp(encoded), True]
    branches = [
        lambda file: upright(_decode_jpeg(file), jpeg_orientation(file)),
        lambda file: upright(_decode_png(file), png_orientation(file)),
        decode_gif,
        decode_bmp,
        lambda file: upright(decode_webp(file), webp_orientation(file)),
        _refuse,
    ]
    number = tf.argmax(tf.stack(is_kind), output_type=tf.int32)
    return tf.switch_case(number, [functools.partial(not_inlined(branch), encoded) for branch in branches])


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    with within_limit(big_endian(tf.reshape(octets(encoded, 16, 8), (2, 4)))):
        return tf.io.decode_png(encoded, channels=3)


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    with required(False, "not a JPEG, PNG, GIF, BMP or WebP image"):
        return tf.zeros((1, 1, 3), tf.uint8)
