"""Windows bitmaps as TensorFlow ops, because TensorFlow's own decoder takes palette indices for gray values."""

import tensorflow as tf

from sjft_tf.images.octets import little_endian, octets, required, within_limit

_FILE_HEADER = 14  # bytes before the bitmap header, whose length is its own first field
_PLAIN, _MASKED = 0, 3  # values of the compression field
_MASKS = [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]  # of red, green, blue in the order of plain files


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """The image in an uncompressed bitmap of 1, 4, 8, 24 or 32 bits a pixel; a fourth channel is dropped. See `decode`.

    Its pixels begin where the file says, but not within header and palette: some writers leave the offset at 0, or do
    not count the palette. Refused are also compressed files, other headers and depths, and missing rows.
    """
    bits = little_endian(octets(encoded, 28, 2))
    with required(_is_known(encoded, bits), "compressed or unusual BMP; bits per pixel:", bits):
        size = little_endian(tf.reshape(octets(encoded, 18, 8), (2, 4)))
    with within_limit(tf.abs(size)):
        width, height = tf.unstack(size)  # the height of a file that is stored top row first is negative
        stride = (width * bits + 31) // 32 * 4
    start = tf.maximum(little_endian(octets(encoded, 10, 4)), _header_length(encoded) + 4 * _colors(encoded, bits))
    rows = tf.io.decode_raw(tf.strings.substr(encoded, start, stride * tf.abs(height)), tf.uint8)
    rows = tf.reshape(rows, (tf.abs(height), stride))
    top_down = tf.cond(height < 0, lambda: rows, lambda: rows[::-1])
    return tf.cond(
        bits <= 8,
        lambda: _indexed(top_down, bits, width, _palette(encoded, bits)),
        lambda: _direct(top_down, bits, width),
    )


def _is_known(encoded: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    header, compression = little_endian(octets(encoded, 14, 4)), little_endian(octets(encoded, 30, 4))
    is_masked_as_usual = tf.reduce_all(octets(encoded, _FILE_HEADER + 40, 12) == _MASKS)
    is_plain = (compression == _PLAIN) | ((compression == _MASKED) & (bits == 32) & is_masked_as_usual)
    return (header >= 40) & is_plain & tf.reduce_any(bits == [1, 4, 8, 24, 32])


def _header_length(encoded: tf.Tensor) -> tf.Tensor:
    """Bytes before the palette."""
    masks = tf.where(octets(encoded, 30, 1)[0] == _MASKED, 12, 0)
    header = little_endian(octets(encoded, 14, 4))
    return _FILE_HEADER + tf.where(header == 40, header + masks, header)


def _colors(encoded: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Entries of the palette, 0 where pixels hold their color."""
    declared = little_endian(octets(encoded, 46, 4))
    most = tf.bitwise.left_shift(1, tf.minimum(bits, 8))
    return tf.where(bits > 8, 0, tf.where((declared > 0) & (declared < most), declared, most))


def _palette(encoded: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """`[256, 3]` uint8, red first; black behind the entries that the file has."""
    entries = tf.reshape(octets(encoded, _header_length(encoded), 256 * 4), (256, 4))
    entries = tf.where(tf.range(256)[:, tf.newaxis] < _colors(encoded, bits), entries, 0)
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
