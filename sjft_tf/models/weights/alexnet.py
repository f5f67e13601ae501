"""The weights of AlexNet's convolutions, from the files in which they are passed around and from our own.

Nothing in a file is executed, and no array is made before its declared shape is found to be AlexNet's.
"""

import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.models.weights.caffemodel import read_caffemodel
from sjft_tf.models.weights.npy_dictionary import read_npy_dictionary
from sjft_tf.models.weights.stored_arrays import Stored, as_float32, open_zip, reporting_damage
from sjft_tf.models.weights.torch_file import read_state_dict

KERNEL_SHAPES: Mapping[str, Mapping[str, tuple[int, int, int, int]]] = {
    "caffe": {  # conv2, conv4 and conv5 see half of the channels each
        "conv1": (11, 11, 3, 96),
        "conv2": (5, 5, 48, 256),
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 192, 384),
        "conv5": (3, 3, 192, 256),
    },
    "torchvision": {
        "conv1": (11, 11, 3, 64),
        "conv2": (5, 5, 64, 192),
        "conv3": (3, 3, 192, 384),
        "conv4": (3, 3, 384, 256),
        "conv5": (3, 3, 256, 256),
    },
}

_MAX_BYTES = 2**29  # the largest of the published files has 244 MB
_TORCHVISION_NUMBERS = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
_NETWORKS = {"caffe": "bvlc_alexnet", "torchvision": "torchvision.models.alexnet"}


@dataclasses.dataclass(frozen=True, eq=False)
class AlexNetWeights:
    """Kernels and biases of AlexNet's first convolutions.

    Attributes:
        layout: `caffe` for the network of bvlc_alexnet, `torchvision` for that of torchvision.models.alexnet.
        kernels: by layer, `conv1` first and none left out: `[H, W, C_in / groups, C_out]` float32.
        biases: by layer: `[C_out]` float32.

    Raises:
        InputError: a name, shape or type differs from the layout's, or a value is not finite.
    """

    layout: str
    kernels: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        kernels, biases = list(self.kernels), list(self.biases)
        if self.layout not in KERNEL_SHAPES:
            raise InputError(f"the layout is {self.layout[:50]!r}; expected one of {', '.join(KERNEL_SHAPES)}")
        if not kernels or kernels != list(KERNEL_SHAPES[self.layout])[: len(kernels)] or kernels != biases:
            raise InputError(
                f"there are kernels for {', '.join(kernels) or 'nothing'} and biases for {', '.join(biases) or 'nothing'}; "
                "expected both from conv1 to any layer, none left out"
            )
        for name, array in _named(self).items():
            _check_shape(self.layout, name, array.shape)
            if array.dtype != np.float32:
                raise InputError(f"array {name} is {array.dtype}; expected float32")
            if not np.isfinite(array).all():
                raise InputError(f"array {name} holds something else than finite numbers")


def read_alexnet_weights(path: str | os.PathLike[str]) -> AlexNetWeights:
    """The weights in a file, which may hold more than the convolutions.

    Args:
        path: `.caffemodel` of bvlc_alexnet; `.npy`, the dictionary known as bvlc_alexnet.npy; `.pth` or `.pt`, a saved
            state dictionary of torchvision.models.alexnet; `.npz` of `save_alexnet_weights`, which alone may stop after
            any layer.

    Raises:
        InputError: the file is missing, damaged, too large, of another network, or would run code.
    """
    path = pathlib.Path(path)
    if path.suffix not in _READERS:
        raise InputError(f"weights {path} are of an unknown kind; take a .caffemodel, .npy, .pth, .pt or .npz file")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"the file has {path.stat().st_size} bytes; AlexNet takes less than {_MAX_BYTES}")
        return _READERS[path.suffix](path.read_bytes())
    except OSError as error:
        raise InputError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"weights {path} cannot be read: {error}") from error


def save_alexnet_weights(
    path: str | os.PathLike[str], weights: AlexNetWeights, dtype: npt.DTypeLike = np.float32
) -> None:
    """Write `weights` as an `.npz` with keys `conv1/kernel`, `conv1/bias`, ..., `layout`; the same give the same bytes.

    Raises:
        InputError: the path is no `.npz`, `dtype` is no floating-point type, or a value does not fit it.
    """
    dtype = np.dtype(dtype)
    if pathlib.Path(path).suffix != ".npz" or dtype.kind != "f":
        raise InputError(f"weights {path} cannot be written as {dtype}; take a .npz file and float16 or float32")
    with np.errstate(over="ignore"):
        arrays = {name: array.astype(dtype) for name, array in _named(weights).items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"weights {path} cannot be written: array {name} has values too large for {dtype}")
    files.save_arrays(path, layout=np.array(weights.layout), **arrays)


def _named(weights: AlexNetWeights) -> dict[str, np.ndarray]:
    kernels = {f"{layer}/kernel": kernel for layer, kernel in weights.kernels.items()}
    return kernels | {f"{layer}/bias": bias for layer, bias in weights.biases.items()}


def _read_npz(data: bytes) -> AlexNetWeights:
    entries, layers = open_zip(data).infolist(), KERNEL_SHAPES["caffe"]
    known = {"layout", *(f"{layer}/{part}" for layer in layers for part in ("kernel", "bias"))}
    largest = 8 * max(math.prod(shape) for shapes in KERNEL_SHAPES.values() for shape in shapes.values())
    with reporting_damage("it"), np.load(io.BytesIO(data), allow_pickle=False) as archive:
        names = archive.files
        if "layout" not in names or not known.issuperset(names) or len(set(names)) < len(names):
            raise InputError("its arrays are not those that save_alexnet_weights writes")
        if any(entry.file_size > largest + 1024 for entry in entries):  # unpacked, header included
            raise InputError("it has an array larger than AlexNet's")
        arrays = {name: archive[name] for name in names}
    layout = str(arrays.pop("layout"))
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise InputError(f"array {name} is {array.dtype}; expected floating-point numbers")
    kernels, biases = (
        {layer: as_float32(arrays[f"{layer}/{part}"]) for layer in layers if f"{layer}/{part}" in arrays}
        for part in ("kernel", "bias")
    )
    return AlexNetWeights(layout, kernels, biases)


def _read_torch(data: bytes) -> dict[str, list[Stored]]:
    state = read_state_dict(data)
    names = {layer: [f"features.{n}.weight", f"features.{n}.bias"] for layer, n in _TORCHVISION_NUMBERS.items()}
    found = {layer: [state[name] for name in pair if name in state] for layer, pair in names.items()}
    return {layer: pair for layer, pair in found.items() if pair}


_READERS: dict[str, Callable[[bytes], AlexNetWeights]] = {
    ".caffemodel": lambda data: _weights("caffe", read_caffemodel(data), axes=(2, 3, 1, 0)),
    ".npy": lambda data: _weights("caffe", read_npy_dictionary(data), axes=(0, 1, 2, 3)),
    ".pth": lambda data: _weights("torchvision", _read_torch(data), axes=(2, 3, 1, 0)),
    ".pt": lambda data: _weights("torchvision", _read_torch(data), axes=(2, 3, 1, 0)),
    ".npz": _read_npz,
}


def _weights(layout: str, found: Mapping[str, list[Stored]], axes: tuple[int, ...]) -> AlexNetWeights:
    """All layers of the layout; `axes` are the places of H, W, C_in and C_out in a stored kernel."""
    if missing := [layer for layer in KERNEL_SHAPES[layout] if layer not in found]:
        raise InputError(f"it lacks {', '.join(missing)}; expected conv1 to conv5 of {_NETWORKS[layout]}")
    kernels, biases = {}, {}
    for layer in KERNEL_SHAPES[layout]:
        if len(found[layer]) != 2:
            raise InputError(f"it has {len(found[layer])} arrays for {layer}; expected a kernel and a bias")
        kernel, bias = found[layer]
        stored = kernel.shape
        _check_shape(layout, f"{layer}/kernel", tuple(stored[axis] for axis in axes) if len(stored) == 4 else stored)
        _check_shape(layout, f"{layer}/bias", bias.shape[-1:] if math.prod(bias.shape[:-1]) == 1 else bias.shape)
        kernels[layer] = np.ascontiguousarray(kernel.read().transpose(axes))
        biases[layer] = bias.read().reshape(-1)
    return AlexNetWeights(layout, kernels, biases)


def _check_shape(layout: str, name: str, shape: tuple[int, ...]) -> None:
    """`shape` in our order of axes."""
    layer, part = name.split("/")
    expected = KERNEL_SHAPES[layout][layer] if part == "kernel" else KERNEL_SHAPES[layout][layer][-1:]
    if shape != expected:
        raise InputError(f"array {name} has shape {shape}; that of {_NETWORKS[layout]} has {expected}")
