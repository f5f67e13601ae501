"""The first frame of a GIF file, cut out before decoding and put in its place on the canvas.

So a long animation costs no more than a picture, and the color under transparent pixels stays: what makes them
transparent, and black to TensorFlow's decoder, is said in an extension block, and those are left out.
"""

import tensorflow as tf

from sjft_tf.images.octets import MAX_STEPS, little_endian, octets, required, within_limit

_EXTENSION, _CONTROL, _FRAME = 0x21, 0xF9, 0x2C  # first byte of a block; second of the extension about transparency
_HEADER, _DESCRIPTOR = 13, 10  # bytes before the global palette; bytes of a frame before its palette


def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """The first frame of a GIF file on its canvas, whose color is the transparent one or else the first of the palette.

    A canvas that does not hold the frame is enlarged. See `decode`; refused is also a file with more than `MAX_STEPS`
    extension blocks ahead of the frame.
    """
    head = _HEADER + _palette_length(encoded, 10)
    start, transparent = _skip(encoded, head, False)
    is_frame = octets(encoded, start, 1)[0] == _FRAME
    with required(is_frame, f"no frame of the GIF within {MAX_STEPS} blocks"):
        canvas, place, size = (_pair(encoded, at) for at in (6, start + 1, start + 5))
    own = _palette_length(encoded, start + 9)
    data = start + _DESCRIPTOR + own
    size = tf.maximum(canvas, place + size)
    with within_limit(size):
        end, _ = _skip(encoded, data + 1, True)
        rest = tf.strings.substr(encoded, start + 5, end - start - 5)
        # At the corner, because the decoder cuts off what is beyond the canvas.
        still = tf.strings.join([tf.strings.substr(encoded, 0, head), b",\0\0\0\0", rest, b";"])
        frame = tf.io.decode_image(still, channels=3, expand_animations=False)
    around = octets(encoded, tf.where(own > 0, data - own, _HEADER) + 3 * transparent, 3)
    box = [*tf.unstack(place), *tf.unstack(size)]
    placed, inside = (tf.image.pad_to_bounding_box(pixels, *box) for pixels in (frame, tf.ones_like(frame)))
    return tf.where(inside > 0, placed, tf.cast(around, tf.uint8))


def _pair(encoded: tf.Tensor, position: tf.Tensor | int) -> tf.Tensor:
    """Two numbers, the second first: files hold the horizontal one ahead of the vertical."""
    return little_endian(tf.reshape(octets(encoded, position, 4), (2, 2)))[::-1]


def _palette_length(encoded: tf.Tensor, position: tf.Tensor | int) -> tf.Tensor:
    """Bytes of the palette that the flags at `position` announce."""
    flags = octets(encoded, position, 1)[0]
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _skip(encoded: tf.Tensor, position: tf.Tensor, is_data: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """The position behind the data of a frame or behind extensions, and the index of the transparent color, or 0.

    Data come in blocks of a length and so many bytes, up to length 0; blocks of one length are skipped together.
    """
    raw = tf.io.decode_raw(encoded, tf.uint8)

    def continues(position: tf.Tensor, in_data: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return in_data if is_data else in_data | (octets(encoded, position, 1)[0] == _EXTENSION)

    def step(position: tf.Tensor, in_data: tf.Tensor, index: tf.Tensor) -> list[tf.Tensor]:
        first, label, _, flags, _, _, named = tf.unstack(octets(encoded, position, 7))
        is_control = ~in_data & (label == _CONTROL) & (flags % 2 == 1)
        ahead = raw[position : position + tf.where(in_data, MAX_STEPS * (first + 1), 0) : first + 1]
        alike = tf.cast(ahead, tf.int32) == first
        run = tf.argmin(tf.cast(tf.concat([alike, [False]], 0), tf.int32), output_type=tf.int32)
        behind = tf.where(first > 0, position + run * (first + 1), position + 1)
        return [tf.where(in_data, behind, position + 2), ~in_data | (first > 0), tf.where(is_control, named, index)]

    begin = [tf.convert_to_tensor(position), tf.constant(is_data), tf.constant(0)]
    end, _, index = tf.while_loop(continues, step, begin, maximum_iterations=MAX_STEPS)
    return end, index
