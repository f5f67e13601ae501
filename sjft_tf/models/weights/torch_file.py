"""The tensors of a state dictionary that PyTorch saved, read without PyTorch.

Two layouts: a zip archive of uncompressed entries (PyTorch 1.6 and newer), and before that a row of pickles with the
contents of the storages behind them. Either way a pickle names the tensors and refers to their storages: see `pickled`.
"""

import functools
import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.models.weights import pickled
from sjft_tf.models.weights.pickled import Dictionary, Name
from sjft_tf.models.weights.stored_arrays import Stored, as_float32, is_shape, open_zip, reporting_damage

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {  # whole numbers may stand beside the weights
    "torch FloatStorage": "f4",
    "torch DoubleStorage": "f8",
    "torch HalfStorage": "f2",
    "torch BFloat16Storage": "u2",
    "torch LongStorage": "i8",
}


class _Storage(NamedTuple):
    key: str
    kind: str  # of NumPy
    elements: int
    read: Callable[[str, str, int], np.ndarray]  # of the three

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a state for a storage")


def read_state_dict(data: bytes) -> dict[str, Stored]:
    """The tensors, by name, in the `data` of a file of `torch.save(model.state_dict(), path)`.

    Tensors are of float32, float16, bfloat16, float64 and int64, on any device.

    Raises:
        InputError: the file is damaged, holds something else than a dictionary of tensors, or asks for more than
            tensors; nothing in it is run.
    """
    with reporting_damage("it"):
        state = _read_zip(data) if data.startswith(b"PK") else _read_pickles(data)
    if not isinstance(state, dict):
        raise InputError("it holds no dictionary of tensors; save model.state_dict()")
    values = {name: value.data if isinstance(value, _Parameter) else value for name, value in state.items()}
    return {name: value for name, value in values.items() if isinstance(name, str) and isinstance(value, Stored)}


def _read_zip(data: bytes) -> Any:
    archive = open_zip(data)
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError("its zip archive is compressed, which PyTorch's are not")
    if sum(entry.file_size for entry in entries) > len(data):
        raise InputError("the entries of its zip archive are longer than the file")
    roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise InputError("its zip archive was not written by torch.save; it has no single data.pkl")
    order = archive.read(roots[0] + "byteorder") if roots[0] + "byteorder" in archive.namelist() else b"little"
    if order not in (b"little", b"big"):
        raise InputError("its byte order is neither little nor big")

    def read(key: str, kind: str, _: int) -> np.ndarray:
        return np.frombuffer(archive.read(f"{roots[0]}data/{key}"), ("<" if order == b"little" else ">") + kind)

    stream = io.BytesIO(archive.read(roots[0] + "data.pkl"))
    return pickled.load(stream, _BUILDERS, lambda key: _storage(key, read))


def _read_pickles(data: bytes) -> Any:
    stream = io.BytesIO(data)
    if pickled.load(stream, {}) != _MAGIC or pickled.load(stream, {}) != _PROTOCOL:
        raise InputError("it was not written by torch.save")
    system = pickled.load(stream, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("it was not written by a machine with little-endian numbers")
    starts: dict[str, int] = {}
    storages: dict[str, _Storage] = {}

    def read(key: str, kind: str, elements: int) -> np.ndarray:
        return np.frombuffer(data, "<" + kind, elements, starts[key])

    def storage(key: Any) -> _Storage:
        found = _storage(key, read)
        return storages.setdefault(found.key, found)

    state = pickled.load(stream, _BUILDERS, storage)
    for key in pickled.load(stream, {}):
        length = int.from_bytes(stream.read(8), "little")
        if length != storages[key].elements:
            raise ValueError("a storage of another length than declared")
        starts[key] = stream.tell()
        stream.seek(length * np.dtype(storages[key].kind).itemsize, io.SEEK_CUR)
    return state


def _storage(key: Any, read: Callable[[str, str, int], np.ndarray]) -> _Storage:
    """The storage of a persistent id; the older layout adds what views there are, None in practice."""
    match key:
        case ("storage", Name(name=kind), str() as name, str(), int() as elements, *views) if kind in _KINDS:
            if elements < 0 or views not in ([], [None]):
                raise ValueError("a storage of an unknown form")
            return _Storage(name, _KINDS[kind], elements, read)
    raise InputError("its pickle refers to something else than a storage of numbers")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Stored:
    """`torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`."""
    is_known = isinstance(storage, _Storage) and is_shape((offset,)) and is_shape(shape) and is_shape(strides)
    if not is_known or len(shape) != len(strides):
        raise ValueError("a tensor of an unknown form")
    reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and reach >= storage.elements:
        raise InputError("a tensor in its pickle reaches beyond its storage")
    return Stored(shape, functools.partial(_read, storage, offset, shape, strides))


def _read(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    with reporting_damage("a storage of it"):
        flat = storage.read(*storage[:3])
        if len(flat) != storage.elements:
            raise InputError("a storage of it has another length than declared")
        steps = [stride * flat.itemsize for stride in strides]
        values = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
        if storage.kind == "u2":  # bfloat16, the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return as_float32(values)


class _Parameter:
    """`torch.nn.Parameter`, as files of the first years have it."""

    def __init__(self, data: Any = None, *_: Any) -> None:
        self.data = data

    def __setstate__(self, state: Any) -> None:
        match state:
            case (Stored() as data, _, _, _, _):  # data, gradient, hooks, requires_grad, volatile
                self.data = data


def _ordered(items: Any = ()) -> Dictionary:
    """`collections.OrderedDict`; Python 2 gives it a list of pairs, emptied here so that calls cannot multiply it."""
    pairs = Dictionary((name, value) for name, value in items if isinstance(name, str))
    if items:
        items.clear()
    return pairs


_BUILDERS: dict[str, pickled.Builder | None] = {
    **dict.fromkeys(_KINDS),
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _Parameter,
    "torch.nn.parameter Parameter": _Parameter,
}
