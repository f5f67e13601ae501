"""Numbers out of file headers, as TensorFlow ops that never fail: behind the end of the file all reads as zero."""

import contextlib
import functools
from collections.abc import Callable

import tensorflow as tf


def not_inlined(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """In a graph a call of `function`, because the ops of a branch that is not taken cost time where they are inlined.

    Outside of graphs the function itself: a thread of `tf.data` that waits for a graph in Python may wait for itself.
    """
    signature = [tf.TensorSpec((), tf.string)]
    call = tf.function(function, signature, autograph=False, experimental_attributes={"_noinline": True})

    @functools.wraps(function)
    def either(encoded: tf.Tensor) -> tf.Tensor:
        return function(encoded) if tf.executing_eagerly() else call(encoded)

    return either


MAX_PIXELS = 64_000_000
"""Pixels that a file may claim to have; above, it is taken for a decompression bomb and not decoded."""

MAX_STEPS = 4096
"""Blocks of a file over which a walk through it goes; ordinary files have dozens, and each step costs 13 microseconds."""

NOWHERE = 2**31 - 1024
"""A position behind the end of any file."""


def octets(encoded: tf.Tensor, position: tf.Tensor | int, count: int) -> tf.Tensor:
    """`[count]` int32 in 0..255: the bytes of the scalar string from `position` on."""
    return tf.cast(tf.io.decode_raw(_part(encoded, position, count), tf.uint8, fixed_length=count), tf.int32)


def is_at(encoded: tf.Tensor, position: tf.Tensor | int, text: bytes) -> tf.Tensor:
    """Whether `text` stands at `position` of the scalar string."""
    return _part(encoded, position, len(text)) == text


def big_endian(digits: tf.Tensor) -> tf.Tensor:
    """`[..., n]` int32 bytes, highest first, as `[...]` int32; four bytes make a signed number."""
    shifts = range(8 * (digits.shape[-1] - 1), -1, -8)
    return tf.reduce_sum(tf.bitwise.left_shift(digits, tf.constant(list(shifts), tf.int32)), -1)


def little_endian(digits: tf.Tensor) -> tf.Tensor:
    """`[..., n]` int32 bytes, lowest first, as `[...]` int32; four bytes make a signed number."""
    return big_endian(tf.reverse(digits, [-1]))


def holds(encoded: tf.Tensor, text: bytes) -> tf.Tensor:
    """Whether `text` stands anywhere in the scalar string: cheap beside any walk, so it comes first."""
    return tf.size(tf.strings.split(encoded, text, maxsplit=1)) > 1


def within_limit(size: tf.Tensor) -> contextlib.AbstractContextManager:
    """A context whose ops run only if `size`, `[2]` int32, height and width, is one that a file may claim."""
    is_allowed = tf.reduce_all(size > 0) & (tf.reduce_prod(tf.cast(size, tf.int64)) <= MAX_PIXELS)
    return required(
        is_allowed, f"its header says that height and width are other than 1 to {MAX_PIXELS:,} pixels in all:", size
    )


def required(is_met: tf.Tensor, *complaint: object) -> contextlib.AbstractContextManager:
    """A context whose ops run only if `is_met`; else `tf.errors.InvalidArgumentError` has the complaint."""
    return tf.control_dependencies([tf.debugging.Assert(is_met, complaint)])


def _part(encoded: tf.Tensor, position: tf.Tensor | int, count: int) -> tf.Tensor:
    return tf.strings.substr(encoded, tf.clip_by_value(position, 0, tf.strings.length(encoded)), count)
