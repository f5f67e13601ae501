"""The way up of a photograph: the EXIF orientation of a JPEG file, read and undone by TensorFlow ops.

Numbers are those of tag 0x0112 in EXIF 2.3. Only the first EXIF segment at the head of the file and its first directory
count.
"""

import tensorflow as tf

from sjft_tf.images.octets import big_endian, little_endian, octets

_ORIENTATION = 0x0112
_ENTRY = 12  # bytes of one entry of a TIFF directory
_ENTRIES = 64  # how many are looked at; they are sorted by tag, and fewer than 30 lawful ones are below this one
_NOWHERE = 2**31 - 1024  # a position behind the end of any file
_EXIF = list(b"Exif\0\0")


def may_be_turned(encoded: tf.Tensor) -> tf.Tensor:
    """False for the commonest JPEG files, of which a look at 24 bytes tells that they hold no EXIF; else True.

    Args:
        encoded: scalar string, a JPEG file.

    Returns:
        Scalar bool: application segments other than one JFIF header of the usual length stand ahead of the image.
    """
    words = tf.io.decode_raw(tf.strings.substr(encoded, 0, 24), tf.uint16, little_endian=False, fixed_length=24)
    is_application = tf.bitwise.bitwise_and(words, 0xFFF0) == 0xFFE0
    is_jfif = (words[1] == 0xFFE0) & (words[2] == 16)
    return is_application[1] & (is_application[10] | ~is_jfif)


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """EXIF orientation of a JPEG file; never fails.

    Args:
        encoded: scalar string, a JPEG file.

    Returns:
        Scalar int32 in 1..8; 1 (upright) where the file says nothing or makes no sense.
    """
    segment = _exif_segment(encoded)
    return tf.cond(_is_exif(encoded, segment), lambda: _orientation_in_tiff(encoded, segment + 10), lambda: 1)


def upright(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """The image turned and mirrored so that it stands upright.

    Args:
        image: `[h, w, channels]`.
        number: scalar int32 in 1..8, see `orientation`.

    Returns:
        `[h, w, channels]` for 1..4, `[w, h, channels]` for 5..8.
    """
    turned = tf.cond(number >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    upside_down = tf.reduce_any(number == [3, 4, 7, 8])
    mirrored = tf.reduce_any(number == [2, 3, 6, 7])
    return tf.reverse(turned, tf.boolean_mask([0, 1], [upside_down, mirrored]))


def _exif_segment(encoded: tf.Tensor) -> tf.Tensor:
    """Where the walk over the application segments at the head of the file meets EXIF, or ends."""

    def is_other_application(position):
        marker = octets(encoded, position, 2)
        return (marker[0] == 0xFF) & (marker[1] // 16 == 0xE) & ~_is_exif(encoded, position)

    def next_segment(position):
        return position + 2 + big_endian(octets(encoded, position + 2, 2))

    return tf.while_loop(is_other_application, lambda position: [next_segment(position)], [tf.constant(2)])[0]


def _is_exif(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    head = octets(encoded, position, 10)
    return (head[1] == 0xE1) & tf.reduce_all(head[4:] == _EXIF)


def _orientation_in_tiff(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of the TIFF header at `start`."""
    is_little = octets(encoded, start, 1)[0] == ord("I")

    def number(digits):
        return tf.where(is_little, little_endian(digits), big_endian(digits))

    offset = number(octets(encoded, start + 4, 4))
    directory = tf.where((offset >= 8) & (offset < tf.strings.length(encoded)), start + offset, _NOWHERE)
    entries = tf.reshape(octets(encoded, directory + 2, _ENTRIES * _ENTRY), (_ENTRIES, _ENTRY))
    is_listed = tf.range(_ENTRIES) < number(octets(encoded, directory, 2))
    is_orientation = is_listed & (number(entries[:, :2]) == _ORIENTATION)
    value = tf.reduce_max(tf.where(is_orientation, number(entries[:, 8:10]), 0))
    return tf.where((value >= 1) & (value <= 8), value, 1)
