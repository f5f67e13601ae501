"""The way up of a photograph: the EXIF orientation of a JPEG, PNG or WebP file, read and undone by TensorFlow ops.

Numbers are those of tag 0x0112 in EXIF 2.3. The first EXIF block counts, wherever the format allows it to stand, and its
first directory. A file that hides it behind more than `MAX_STEPS` blocks stays as it is.
"""

from collections.abc import Callable

import tensorflow as tf

from sjft_tf.images.octets import MAX_STEPS, NOWHERE, big_endian, holds, is_at, little_endian, not_inlined, octets

_ORIENTATION = 0x0112
_ENTRY = 12  # bytes of one entry of a TIFF directory
_ENTRIES = 512  # how many are looked at; fewer than 30 lawful ones are below this one
_SHORT, _LONG = 3, 4  # types of a TIFF entry
_EXIF = b"Exif\0\0"
PNG_EXIF = b"eXIf"  # the name of the chunk
_OfPosition = Callable[[tf.Tensor], tf.Tensor]  # from a position in the file


def jpeg_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The number of a JPEG file, scalar int32 in 1..8: 1 (upright) where it says nothing or makes no sense; never fails."""
    return tf.cond(holds(encoded, _EXIF), lambda: _in_jpeg(encoded), lambda: 1)


def png_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The same of a PNG file, whose EXIF is in a chunk `eXIf`."""
    return _in_chunks(encoded, PNG_EXIF, 4, lambda name: name + 12 + big_endian(octets(encoded, name - 4, 4)))


def webp_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The same of a WebP file, whose EXIF is in a chunk `EXIF`."""

    def following(name: tf.Tensor) -> tf.Tensor:
        return name + 8 + (little_endian(octets(encoded, name + 4, 4)) + 1) // 2 * 2

    return _in_chunks(encoded, b"EXIF", 8, following)


def upright(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """The image `[h, w, channels]` turned and mirrored so that it stands upright, `[w, h, channels]` for 5..8."""
    turned = tf.cond(number >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    upside_down = tf.reduce_any(number == [3, 4, 7, 8])
    mirrored = tf.reduce_any(number == [2, 3, 6, 7])
    return tf.reverse(turned, tf.boolean_mask([0, 1], [upside_down, mirrored]))


@not_inlined
def _in_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """The orientation in an EXIF segment anywhere ahead of the first scan."""

    def is_sought(position: tf.Tensor) -> tf.Tensor:
        return is_at(encoded, position, b"\xff\xe1") & is_at(encoded, position + 4, _EXIF)

    def following(position: tf.Tensor) -> tf.Tensor:
        sign, marker, high, low = tf.unstack(octets(encoded, position, 4))
        is_alone = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD7))
        is_end = (sign != 0xFF) | (marker == 0xD9) | (marker == 0xDA)
        step = tf.where(is_alone, 2, 2 + 256 * high + low)
        step = tf.where(marker == 0xFF, 1, step)  # markers may be filled up with FF ahead of them
        return tf.where(is_end, NOWHERE, position + step)

    return _orientation_in_tiff(encoded, _walk(encoded, 2, is_sought, following) + 4 + len(_EXIF))


def _in_chunks(encoded: tf.Tensor, name: bytes, content_at: int, following: _OfPosition) -> tf.Tensor:
    """The orientation in the chunk `name`; `following` leads from one chunk's name to the next, the first being at 12."""

    def search() -> tf.Tensor:
        content = content_at + _walk(encoded, 12, lambda position: is_at(encoded, position, name), following)
        return _orientation_in_tiff(encoded, tf.where(is_at(encoded, content, _EXIF), content + len(_EXIF), content))

    return tf.cond(holds(encoded, name), search, lambda: 1)


def _walk(encoded: tf.Tensor, start: int, is_sought: _OfPosition, following: _OfPosition) -> tf.Tensor:
    """The first of the positions from `start` on to which `following` leads that `is_sought`; `NOWHERE` if none is."""
    length = tf.strings.length(encoded)
    position = tf.while_loop(
        lambda position: (position < length) & ~is_sought(position),
        lambda position: [following(position)],
        [tf.constant(start)],
        maximum_iterations=MAX_STEPS,
    )[0]
    return tf.where(is_sought(position), position, NOWHERE)


def _orientation_in_tiff(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of the TIFF header at `start`."""
    is_little = octets(encoded, start, 1)[0] == ord("I")

    def number(digits: tf.Tensor) -> tf.Tensor:
        return tf.where(is_little, little_endian(digits), big_endian(digits))

    offset = number(octets(encoded, start + 4, 4))
    directory = tf.where((offset >= 8) & (offset < tf.strings.length(encoded)), start + offset, NOWHERE)
    entries = tf.reshape(octets(encoded, directory + 2, _ENTRIES * _ENTRY), (_ENTRIES, _ENTRY))
    is_listed = tf.range(_ENTRIES) < number(octets(encoded, directory, 2))
    kind = number(entries[:, 2:4])
    value = tf.where(kind == _SHORT, number(entries[:, 8:10]), tf.where(kind == _LONG, number(entries[:, 8:12]), 0))
    is_orientation = is_listed & (number(entries[:, :2]) == _ORIENTATION)
    value = tf.reduce_max(tf.where(is_orientation, value, 0))
    return tf.where((value >= 1) & (value <= 8), value, 1)
