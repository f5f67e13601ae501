"""The first frame of a GIF file, cut out before decoding and put in its place on the canvas.

So a long animation costs no more than a picture, and the color under transparent pixels stays: what makes them
transparent, and black to TensorFlow's decoder, is said in an extension block, and those are left out.
"""

import tensorflow as tf

from sjft_tf.images.octets import MAX_STEPS, little_endian, octets

_EXTENSION, _CONTROL, _FRAME = 0x21, 0xF9, 0x2C  # first byte of a block; second of the extension about transparency
_HEADER, _DESCRIPTOR = 13, 10  # bytes before the global palette; bytes of a frame before its palette


class GifFrame:
    """Where the first frame is in the file, and on the canvas.

    Args:
        encoded: scalar string that starts with "GIF8".

    Attributes:
        size: `[2]` int32, height and width of the canvas, or of what it takes to hold the frame.

    Raises:
        tf.errors.InvalidArgumentError: more than `MAX_STEPS` extension blocks stand ahead of the frame, or there is none.
    """

    def __init__(self, encoded: tf.Tensor) -> None:
        self._encoded, self._raw = encoded, tf.io.decode_raw(encoded, tf.uint8)
        self._head = _HEADER + self._palette_length(10)
        self._start, self._transparent = self._skip(self._head, False)
        is_frame = octets(encoded, self._start, 1)[0] == _FRAME
        message = f"no frame of the GIF within {MAX_STEPS} blocks"
        with tf.control_dependencies([tf.debugging.Assert(is_frame, [message])]):
            canvas, place, size = (self._pair(at) for at in (6, self._start + 1, self._start + 5))
        self._place = place
        self.size = tf.maximum(canvas, place + size)

    def decode(self) -> tf.Tensor:
        """`[h, w, 3]` uint8: the frame, and around it the transparent color or, without one, the first of its palette."""
        own = self._palette_length(self._start + 9)
        data = self._start + _DESCRIPTOR + own
        end, _ = self._skip(data + 1, True)
        head = tf.strings.substr(self._encoded, 0, self._head)
        rest = tf.strings.substr(self._encoded, self._start + 5, end - self._start - 5)
        still = tf.strings.join([head, b",\0\0\0\0", rest, b";"])  # at the corner: the decoder cuts off what is beyond
        frame = tf.io.decode_image(still, channels=3, expand_animations=False)
        palette = tf.where(own > 0, data - own, _HEADER)
        around = tf.cast(octets(self._encoded, palette + 3 * self._transparent, 3), tf.uint8)
        (top, left), (height, width) = (tf.unstack(pair) for pair in (self._place, self.size))
        placed, inside = (
            tf.image.pad_to_bounding_box(pixels, top, left, height, width) for pixels in (frame, tf.ones_like(frame))
        )
        return tf.where(inside > 0, placed, around)

    def _pair(self, position: tf.Tensor | int) -> tf.Tensor:
        """Two numbers, the second first: files hold the horizontal one ahead of the vertical."""
        return little_endian(tf.reshape(octets(self._encoded, position, 4), (2, 2)))[::-1]

    def _palette_length(self, position: tf.Tensor | int) -> tf.Tensor:
        """Bytes of the palette that the flags at `position` announce."""
        flags = octets(self._encoded, position, 1)[0]
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def _skip(self, position: tf.Tensor, is_data: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """The position behind the data of a frame or behind extensions, and the index of the transparent color, or 0.

        Data come in blocks of a length and so many bytes, up to length 0; blocks of one length are skipped together.
        """

        def goes_on(position: tf.Tensor, in_data: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            return in_data if is_data else in_data | (octets(self._encoded, position, 1)[0] == _EXTENSION)

        def step(position: tf.Tensor, in_data: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            first, label, _, flags, _, _, named = tf.unstack(octets(self._encoded, position, 7))
            is_control = ~in_data & (label == _CONTROL) & (flags % 2 == 1)
            ahead = self._raw[position : position + tf.where(in_data, MAX_STEPS * (first + 1), 0) : first + 1]
            alike = tf.cast(ahead, tf.int32) == first
            run = tf.argmin(tf.cast(tf.concat([alike, [False]], 0), tf.int32), output_type=tf.int32)
            behind = tf.where(first > 0, position + run * (first + 1), position + 1)
            return tf.where(in_data, behind, position + 2), ~in_data | (first > 0), tf.where(is_control, named, index)

        begin = [tf.convert_to_tensor(position), tf.constant(is_data), tf.constant(0)]
        end, _, index = tf.while_loop(goes_on, step, begin, maximum_iterations=MAX_STEPS)
        return end, index
