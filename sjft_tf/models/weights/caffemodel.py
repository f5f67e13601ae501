"""The arrays in a `.caffemodel`, parsed with protobuf from the few fields that hold them; Caffe plays no part.

Field numbers are those of BVLC's `caffe.proto`. Both generations of layers are known: `layers` (V1, to which the published
AlexNet belongs) and `layer`. All other fields are skipped.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from sjft_tf.errors import InputError
from sjft_tf.models.weights.stored_arrays import Stored, as_float32, is_shape, reporting_damage

_MAX_FIELDS = 10_000  # AlexNet's layers have a few hundred
_LAYER_NUMBERS = (2, 100)
_OLD_SIZES = ("num", "channels", "height", "width")
_MESSAGES = {  # type and number of each field, by name; a star is for repeated fields, packed or not
    "BlobShape": {"dim": ("int64*", 1)},
    "BlobProto": {
        **{name: ("int32", number) for number, name in enumerate(_OLD_SIZES, 1)},
        "data": ("float*", 5),
        "shape": ("BlobShape", 7),
        "double_data": ("double*", 8),
    },
    "V1LayerParameter": {"name": ("string", 4), "blobs": ("BlobProto*", 6)},
    "LayerParameter": {"name": ("string", 1), "blobs": ("BlobProto*", 7)},
    "NetParameter": {"layers": ("V1LayerParameter*", 2), "layer": ("LayerParameter*", 100)},
}


def read_caffemodel(data: bytes) -> dict[str, list[Stored]]:
    """The arrays of each layer that has any, by the layer's name.

    Args:
        data: the file, a `NetParameter` in binary form.

    Raises:
        InputError: the file is damaged, has no layers with arrays, or two of one name.
    """
    with reporting_damage("it"):
        _check_count(data)
        net = _net_parameter().FromString(data)
        layers = [(layer.name, [_stored(blob) for blob in layer.blobs]) for layer in (*net.layers, *net.layer)]
    filled = [(name, arrays) for name, arrays in layers if arrays]
    if not filled:
        raise InputError("it has no layers with weights; take the .caffemodel, not a .prototxt or mean file")
    if len(dict(filled)) < len(filled):
        raise InputError("it has two layers of one name")
    return dict(filled)


def _check_count(data: bytes) -> None:
    """Protobuf makes an object for each layer and array, however small, so a hostile file could fill the memory."""
    layers = [content for number, content in _fields(memoryview(data)) if number in _LAYER_NUMBERS]
    if sum(1 for layer in layers for _ in _fields(layer)) > _MAX_FIELDS:
        raise InputError(f"its layers have more than {_MAX_FIELDS} fields, too many for AlexNet")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field of a message; empty content for a single number."""
    place = 0
    for _ in range(_MAX_FIELDS + 1):
        if place == len(data):
            return
        tag, place = _varint(data, place)
        kind, end = tag & 7, place
        if kind == 0:
            end = _varint(data, place)[1]
        elif kind == 2:
            length, place = _varint(data, place)
            end = place + length
        else:
            end += {1: 8, 5: 4}[kind]
        if end > len(data):
            raise ValueError("a field beyond the end")
        yield tag >> 3, data[place:end] if kind == 2 else data[:0]
        place = end
    raise InputError(f"it has more than {_MAX_FIELDS} fields in one place, too many for AlexNet")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
        shift += 7
    raise ValueError("a number of more than 64 bits")


def _stored(blob: Any) -> Stored:
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = tuple(getattr(blob, size) for size in _OLD_SIZES)
    values = blob.double_data if len(blob.double_data) else blob.data
    if not is_shape(shape) or math.prod(shape) != len(values):
        raise InputError(f"an array of it has {len(values)} values, another number than its shape has")
    return Stored(shape, functools.partial(_read, values, shape))


def _read(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    return as_float32(np.fromiter(values, np.float64, len(values)).reshape(shape))


@functools.cache
def _net_parameter() -> Any:
    """The message class, in a pool of its own, so that it cannot meet Caffe's."""
    file = descriptor_pb2.FileDescriptorProto(name="caffemodel.proto", package="sjft_tf", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (kind, number) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            scalar = kind.removesuffix("*")
            if scalar in _MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".sjft_tf.{scalar}"
            else:
                field.type = getattr(field, f"TYPE_{scalar.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sjft_tf.NetParameter"))
