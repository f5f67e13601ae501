"""Windows bitmaps as TensorFlow ops, because TensorFlow's own decoder takes palette indices for gray values."""

import tensorflow as tf

from sjft_tf.images.octets import little_endian, octets

_FILE_HEADER = 14  # bytes before the bitmap header, whose length is its own first field
_PLAIN, _MASKED = 0, 3  # values of the compression field
_MASKS = [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]  # of red, green, blue in the order of plain files


def bmp_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width in the header, `[2]` int32; the height of a file that is stored top row first is negative."""
    return little_endian(tf.reshape(octets(encoded, 18, 8), (2, 4)))[::-1]


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """The image in an uncompressed bitmap of 1, 4, 8, 24 or 32 bits a pixel.

    Args:
        encoded: scalar string that starts with "BM".

    Returns:
        `[h, w, 3]` uint8; a fourth channel is dropped.

    Raises:
        tf.errors.InvalidArgumentError: rows are missing, or the file is compressed, or of another header or depth.
    """
    bits = little_endian(octets(encoded, 28, 2))
    known = tf.debugging.Assert(_is_known(encoded, bits), ["compressed or unusual BMP; bits per pixel:", bits])
    with tf.control_dependencies([known]):
        height, width = tf.unstack(bmp_size(encoded))
        stride = (width * bits + 31) // 32 * 4
        start = little_endian(octets(encoded, 10, 4))
    rows = tf.io.decode_raw(tf.strings.substr(encoded, start, stride * tf.abs(height)), tf.uint8)
    rows = tf.reshape(rows, (tf.abs(height), stride))
    top_down = tf.cond(height < 0, lambda: rows, lambda: rows[::-1])
    return tf.cond(
        bits <= 8, lambda: _indexed(top_down, bits, width, _palette(encoded)), lambda: _direct(top_down, bits, width)
    )


def _is_known(encoded: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    header, compression = little_endian(octets(encoded, 14, 4)), little_endian(octets(encoded, 30, 4))
    is_masked_as_usual = tf.reduce_all(octets(encoded, _FILE_HEADER + 40, 12) == _MASKS)
    is_plain = (compression == _PLAIN) | ((compression == _MASKED) & (bits == 32) & is_masked_as_usual)
    return (header >= 40) & is_plain & tf.reduce_any(bits == [1, 4, 8, 24, 32])


def _palette(encoded: tf.Tensor) -> tf.Tensor:
    """`[256, 3]` uint8, red first; what is behind the entries that the file has is never asked for."""
    header = little_endian(octets(encoded, 14, 4))
    entries = tf.reshape(octets(encoded, _FILE_HEADER + header, 256 * 4), (256, 4))
    return tf.cast(entries[:, 2::-1], tf.uint8)


def _indexed(rows: tf.Tensor, bits: tf.Tensor, width: tf.Tensor, palette: tf.Tensor) -> tf.Tensor:
    shifts = tf.cast(tf.range(8 - bits, -1, -bits), tf.uint8)
    mask = tf.cast(tf.bitwise.left_shift(1, bits) - 1, tf.uint8)
    indices = tf.bitwise.bitwise_and(tf.bitwise.right_shift(rows[:, :, tf.newaxis], shifts), mask)
    indices = tf.reshape(indices, (tf.shape(rows)[0], -1))[:, :width]
    return tf.gather(palette, tf.cast(indices, tf.int32))


def _direct(rows: tf.Tensor, bits: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    channels = bits // 8
    return tf.reshape(rows[:, : width * channels], (tf.shape(rows)[0], width, channels))[:, :, 2::-1]
