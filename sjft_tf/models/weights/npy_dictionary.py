"""The dictionary of arrays in a `.npy` file such as the well-known `bvlc_alexnet.npy`, written by Python 2 or 3.

NumPy stores a dictionary as an array of one object, which is a pickle: see `pickled`.
"""

import functools
import io
import math
from typing import Any

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.models.weights import pickled
from sjft_tf.models.weights.pickled import Name
from sjft_tf.models.weights.stored_arrays import Stored, as_float32, is_shape, reporting_damage

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_TYPES = ("f2", "f4", "f8", "O", "O4", "O8")


def read_npy_dictionary(data: bytes) -> dict[str, list[Stored]]:
    """Two arrays, weights and biases, by layer, in the file's `data`.

    It is a dictionary of `[weights, biases]` or of `{"weights": ..., "biases": ...}`; its other values are left out.

    Raises:
        InputError: the file is damaged, is no such dictionary, or asks for more than arrays; nothing in it is run.
    """
    stream = io.BytesIO(data)
    with reporting_damage("its header"):
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.kind != "O" or shape not in ((), (1,)):
        raise InputError("it holds an array; expected a dictionary of the weights and biases of each layer")
    outer = pickled.load(stream, _BUILDERS)
    if not isinstance(outer, _Array) or outer.dictionary is None:
        raise InputError("it holds no dictionary of the weights and biases of each layer")
    texts = {name.decode("latin-1") if isinstance(name, bytes) else name: v for name, v in outer.dictionary.items()}
    pairs = {name: _pair(value) for name, value in texts.items() if isinstance(name, str)}
    return {name: pair for name, pair in pairs.items() if pair}


def _pair(value: Any) -> list[Stored]:
    if type(value) is dict:
        value = [value.get("weights"), value.get("biases")]
    match value:
        case [_Array(stored=Stored() as weights), _Array(stored=Stored() as biases)]:
            return [weights, biases]
    return []


class _DType:
    """`numpy.dtype`: floats for arrays, objects for what is around the dictionary."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if code not in _TYPES:
            raise InputError("its pickle has an array of another type than float16, float32 and float64")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                self.order = order
            case _:
                raise ValueError("a type of an unknown form")


class _Array:
    """`numpy.ndarray`: empty until it gets its state, which makes it a stored array or the array around a dictionary."""

    def __init__(self, kind: Any, shape: Any, code: Any) -> None:
        if not isinstance(kind, Name) or kind.name != "numpy ndarray":
            raise InputError("its pickle makes an array that is no numpy.ndarray")
        self.stored: Stored | None = None
        self.dictionary: dict[Any, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        match state:
            case (int(), () | (1,), _DType(code="O" | "O4" | "O8"), _, [dict() as dictionary]):
                self.dictionary = dictionary
            case (int(), tuple() as shape, _DType(code="f2" | "f4" | "f8") as kind, fortran, str() | bytes() as data):
                dtype = np.dtype(kind.order + kind.code)
                if not is_shape(shape) or len(data) != math.prod(shape) * dtype.itemsize:
                    raise InputError("an array in its pickle has another length than its shape and type say")
                self.stored = Stored(shape, functools.partial(_read, data, dtype, shape, bool(fortran)))
            case _:
                raise InputError("its pickle has an array that does not consist of numbers")


def _read(content: str | bytes, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    try:
        octets = content.encode("latin-1") if isinstance(content, str) else content
    except UnicodeEncodeError as error:
        raise InputError("an array in its pickle is text") from error
    return as_float32(np.frombuffer(octets, dtype).reshape(shape, order="F" if fortran else "C"))


def _as_stored_text(text: Any, codec: Any) -> str:
    """`_codecs.encode`, by which Python 3 writes bytes for readers of Python 2; the text stays as it is until read."""
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise InputError("its pickle encodes something else than text in Latin-1")
    return text


_BUILDERS = {
    "numpy.core.multiarray _reconstruct": _Array,
    "numpy._core.multiarray _reconstruct": _Array,
    "numpy ndarray": None,
    "numpy dtype": _DType,
    "_codecs encode": _as_stored_text,
}
