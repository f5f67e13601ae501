"""The arrays in a `.caffemodel`, out of the few fields that hold them; Caffe plays no part.

The file is a protocol buffer. Field numbers are those of BVLC's `caffe.proto`. Both generations of layers are known:
`layers` (V1, to which the published AlexNet belongs) and `layer`. All other fields are skipped.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.models.weights.stored_arrays import Stored, as_float32, is_shape, reporting_damage

_MAX_NUMBERS = 10_000  # tags, lengths and sizes in all, of which AlexNet has a few hundred; else memory might fill up
_LAYERS = ((2, 4, 6), (100, 1, 7))  # numbers of the field in the file, and in it of the name and the arrays
_OLD_SIZES, _SHAPE, _FLOATS, _DOUBLES = (1, 2, 3, 4), 7, 5, 8  # fields of an array

Fields = defaultdict[int, list[memoryview]]


def read_caffemodel(data: bytes) -> dict[str, list[Stored]]:
    """The arrays of each layer that has any, by the layer's name, in the file's `data`, a `NetParameter` in binary form.

    Raises:
        InputError: the file is damaged, has no layers with arrays, or two of one name.
    """
    with reporting_damage("it"):
        budget = iter(range(_MAX_NUMBERS))
        net = _fields(data, budget)
        layers = [
            (
                b"".join(fields[name][-1:]).decode(),
                [_stored(_fields(array, budget), budget) for array in fields[arrays]],
            )
            for number, name, arrays in _LAYERS
            for fields in [_fields(layer, budget) for layer in net[number]]
        ]
    filled = [(name, arrays) for name, arrays in layers if arrays]
    if not filled:
        raise InputError("it has no layers with weights; take the .caffemodel, not a .prototxt or mean file")
    if len(dict(filled)) < len(filled):
        raise InputError("it has two layers of one name")
    return dict(filled)


def _fields(message: bytes | memoryview, budget: Iterator[int]) -> Fields:
    """The contents of each field, by its number: joined, they are what the packed form of a repeated field holds."""
    data, place, fields = memoryview(message), 0, defaultdict[int, list[memoryview]](list)
    while place < len(data):
        tag, start = _number(data, place, budget)
        if tag & 7 == 0:
            place = _number(data, start, budget)[1]
        elif tag & 7 == 2:
            length, start = _number(data, start, budget)
            place = start + length
        else:
            place = start + {1: 8, 5: 4}[tag & 7]
        if place > len(data):
            raise ValueError("a field beyond the end")
        fields[tag >> 3].append(data[start:place])
    return fields


def _number(data: memoryview, place: int, budget: Iterator[int]) -> tuple[int, int]:
    """The whole number at `place`, seven bits a byte, and the place behind it."""
    if next(budget, None) is None:
        raise InputError(f"it has more than {_MAX_NUMBERS} fields and sizes, too many for AlexNet")
    value = 0
    for shift in range(0, 64, 7):
        octet = data[place]
        value |= (octet & 127) << shift
        place += 1
        if octet < 128:
            return value, place
    raise ValueError("a number of more than 64 bits")


def _numbers(contents: Sequence[memoryview], budget: Iterator[int]) -> list[int]:
    data, place, numbers = memoryview(b"".join(contents)), 0, []
    while place < len(data):
        number, place = _number(data, place, budget)
        numbers.append(number)
    return numbers


def _stored(fields: Fields, budget: Iterator[int]) -> Stored:
    if _SHAPE in fields:
        shape = tuple(_numbers(_fields(b"".join(fields[_SHAPE]), budget)[1], budget))
    else:
        shape = tuple(_numbers(fields[size][-1:], budget)[0] if size in fields else 0 for size in _OLD_SIZES)
    contents, dtype = (fields[_DOUBLES], "<f8") if _DOUBLES in fields else (fields[_FLOATS], "<f4")
    octets = sum(map(len, contents))
    if not is_shape(shape) or math.prod(shape) * np.dtype(dtype).itemsize != octets:
        count = octets // np.dtype(dtype).itemsize
        raise InputError(f"an array of it has {count} values, another number than its shape has")
    return Stored(shape, lambda: as_float32(np.frombuffer(b"".join(contents), dtype).reshape(shape)))
