"""The tensors of a state dictionary that PyTorch saved, read without PyTorch.

Two layouts: a zip archive of uncompressed entries (PyTorch 1.6 and newer), and before that a row of pickles with the
contents of the storages behind them. Either way a pickle names the tensors and refers to their storages: see
`arrays_only`.
"""

import functools
import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.models.weights import arrays_only
from sjft_tf.models.weights.arrays_only import Builder, Global
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
    kind: str
    key: str
    elements: int


_Contents = Callable[[_Storage], np.ndarray]


def read_state_dict(data: bytes) -> dict[str, Stored]:
    """The tensors in the file, by name.

    Args:
        data: the file, of `torch.save(model.state_dict(), path)`. Tensors of float32, float16, bfloat16, float64 and
            int64 on any device.

    Raises:
        InputError: the file is damaged, holds something else than a dictionary of tensors, or asks for more than
            tensors; nothing in it is run.
    """
    with reporting_damage("it"):
        state = _read_zip(data) if data.startswith(b"PK") else _read_pickles(data)
    if type(state) is not dict:
        raise InputError("it holds no dictionary of tensors; save model.state_dict()")
    values = {name: value.data if isinstance(value, _Parameter) else value for name, value in state.items()}
    return {name: value for name, value in values.items() if isinstance(value, Stored)}


def _read_zip(data: bytes) -> Any:
    archive = open_zip(data)
    names = archive.namelist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise InputError("its zip archive is compressed, which PyTorch's are not")
    if sum(entry.file_size for entry in archive.infolist()) > len(data):
        raise InputError("the entries of its zip archive are longer than the file")
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise InputError("its zip archive was not written by torch.save; it has no single data.pkl")
    order = archive.read(roots[0] + "byteorder") if roots[0] + "byteorder" in names else b"little"
    if order not in (b"little", b"big"):
        raise InputError("its byte order is neither little nor big")

    def contents(storage: _Storage) -> np.ndarray:
        octets = archive.read(f"{roots[0]}data/{storage.key}")
        return np.frombuffer(octets, ("<" if order == b"little" else ">") + _KINDS[storage.kind])

    pickled = io.BytesIO(archive.read(roots[0] + "data.pkl"))
    return arrays_only.load(pickled, _builders(contents), _storage)


def _read_pickles(data: bytes) -> Any:
    stream = io.BytesIO(data)
    if arrays_only.load(stream, {}) != _MAGIC or arrays_only.load(stream, {}) != _PROTOCOL:
        raise InputError("it was not written by torch.save")
    system = arrays_only.load(stream, {})
    if type(system) is not dict or system.get("little_endian") is not True:
        raise InputError("it was not written by a machine with little-endian numbers")

    storages: dict[str, _Storage] = {}
    starts: dict[str, int] = {}

    def storage(key: Any) -> _Storage:
        found = _storage(key)
        return storages.setdefault(found.key, found)

    def contents(storage: _Storage) -> np.ndarray:
        return np.frombuffer(data, "<" + _KINDS[storage.kind], storage.elements, starts[storage.key])

    state = arrays_only.load(stream, _builders(contents), storage)
    for key in arrays_only.load(stream, {}):
        length = int.from_bytes(stream.read(8), "little")
        if length != storages[key].elements:
            raise ValueError("a storage of another length than declared")
        starts[key] = stream.tell()
        stream.seek(length * np.dtype(_KINDS[storages[key].kind]).itemsize, io.SEEK_CUR)
    return state


def _storage(key: Any) -> _Storage:
    """A storage by its persistent id; the older layout adds what views there are of it, None in practice."""
    match key:
        case ("storage", Global(name=kind), str() as name, str(), int() as elements, *views) if kind in _KINDS:
            if elements < 0 or views not in ([], [None]):
                raise ValueError("a storage of an unknown form")
            return _Storage(kind, name, elements)
    raise InputError("its pickle refers to something else than a storage of numbers")


def _tensor(contents: _Contents, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Stored:
    """`torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`."""
    known = isinstance(storage, _Storage) and type(offset) is int and offset >= 0
    if not known or not is_shape(shape) or not is_shape(strides) or len(shape) != len(strides):
        raise ValueError("a tensor of an unknown form")
    reach = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and reach >= storage.elements:
        raise InputError("a tensor in its pickle reaches beyond its storage")
    return Stored(shape, functools.partial(_read, contents, storage, offset, shape, strides))


def _read(
    contents: _Contents, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> np.ndarray:
    with reporting_damage("a storage of it"):
        flat = contents(storage)
        if len(flat) != storage.elements:
            raise InputError("a storage of it has another length than declared")
        if not math.prod(shape):
            return np.zeros(shape, np.float32)
        steps = [stride * flat.itemsize for stride in strides]
        values = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
        if storage.kind == "torch BFloat16Storage":  # the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return as_float32(values)


class _Parameter:
    """`torch.nn.Parameter`, as files of the first years have it."""

    def __init__(self, data: Any = None, *_: Any) -> None:
        self.data = data

    def build(self, state: Any) -> None:
        match state:
            case (Stored() as data, _, _, _, _):  # data, gradient, hooks, requires_grad, volatile
                self.data = data


def _ordered(items: Any = None) -> dict[str, Any]:
    """`collections.OrderedDict`; Python 2 gives it a list of pairs, emptied here so that calls cannot multiply it."""
    pairs = {name: value for name, value in items or [] if isinstance(name, str)}
    if items:
        items.clear()
    return pairs


def _builders(contents: _Contents) -> dict[str, Builder | None]:
    tensor = functools.partial(_tensor, contents)
    return {
        **dict.fromkeys(_KINDS),
        "collections OrderedDict": _ordered,
        "torch._utils _rebuild_tensor": tensor,
        "torch._utils _rebuild_tensor_v2": tensor,
        "torch._utils _rebuild_parameter": _Parameter,
        "torch.nn.parameter Parameter": _Parameter,
    }
