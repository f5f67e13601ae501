"""The first frame of a GIF file, cut out before decoding.

So a long animation costs no more than a picture, and the color under transparent pixels stays: what makes them
transparent, and black to TensorFlow's decoder, is said in an extension block, and those are left out.
"""

import tensorflow as tf

from sjft_tf.images.octets import little_endian, octets

_EXTENSION, _FRAME = 0x21, 0x2C  # first byte of a block
_HEADER, _DESCRIPTOR = 13, 10  # bytes before the global palette; bytes of a frame before its palette


def first_frame(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The file with its first frame alone and without extensions.

    Args:
        encoded: scalar string that starts with "GIF8".

    Returns:
        A scalar string, and the `[2]` int32 height and width of the canvas or of the frame, whichever is greater.
        A file that breaks off or makes no sense comes back as something that no decoder takes.
    """
    behind = _ends_of_block_chains(encoded)
    head = _HEADER + _palette_length(encoded, 10)
    frame = _skip_extensions(encoded, behind, head)
    data = frame + _DESCRIPTOR + _palette_length(encoded, frame + 9) + 1
    end = tf.gather(behind, tf.minimum(data, tf.size(behind) - 1))
    canvas, size = (little_endian(tf.reshape(octets(encoded, at, 4), (2, 2))) for at in (6, frame + 5))
    parts = [(0, head), (frame, end - frame)]
    still = tf.strings.join([tf.strings.substr(encoded, start, length) for start, length in parts] + [";"])
    return still, tf.maximum(canvas, size)[::-1]


def _palette_length(encoded: tf.Tensor, position: tf.Tensor | int) -> tf.Tensor:
    """Bytes of the palette that the flags at `position` announce."""
    flags = octets(encoded, position, 1)[0]
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _skip_extensions(encoded: tf.Tensor, behind: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    def is_extension(position):
        return octets(encoded, position, 1)[0] == _EXTENSION

    def skip(position):
        return [tf.gather(behind, tf.minimum(position + 2, tf.size(behind) - 1))]

    return tf.while_loop(is_extension, skip, [start])[0]


def _ends_of_block_chains(encoded: tf.Tensor) -> tf.Tensor:
    """For each byte, taken as the length of a data block: where the chain of blocks that starts there ends.

    Each block is a length and so many bytes; length 0 ends the chain. Following all chains at once by doubling the
    stride takes log2(length) gathers in place of one step per 255 bytes.
    """
    length = tf.strings.length(encoded)
    lengths = tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int32)
    here = tf.range(length)
    following = tf.minimum(here + tf.where(lengths > 0, lengths + 1, 0), length)
    following = tf.concat([following, [length]], 0)
    doublings = tf.cast(tf.math.ceil(tf.math.log(tf.cast(length + 1, tf.float32)) / tf.math.log(2.0)), tf.int32)
    _, ends = tf.while_loop(
        lambda turn, _: turn < doublings, lambda turn, at: (turn + 1, tf.gather(at, at)), [tf.constant(0), following]
    )
    return tf.minimum(ends + 1, length)
