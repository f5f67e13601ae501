"""Weight files as arrays by layer and variable; nothing in a file is executed.

A key is the last two parts of a variable's path, `layer/variable`, so nesting in the saved model plays no part. HDF5
files are keyed by position instead (`"0"`, `"1"`, ... in Keras' order), because not all of them name their variables.
"""

import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np

from sjft_tf.errors import InputError

LayerArrays = dict[str, dict[str, np.ndarray]]
T = TypeVar("T")

_NAMELESS = re.compile(r"^variable_\d+$")  # Keras numbers variables without a name over the whole process


def read_weights(path: str | os.PathLike[str]) -> LayerArrays:
    """The arrays in a weight file, by layer and by variable name or position.

    Args:
        path: `.npz` with keys `layer/variable`; `.weights.h5` of Keras 3; `.h5` in the older layout of the weights that
            Keras publishes; or a whole `.keras` model, opened in Keras' safe mode.

    Raises:
        InputError: the file is missing, damaged, of another kind, names no layers, or holds anything but finite
            numbers.
    """
    path = pathlib.Path(path)
    readers = {".npz": _read_npz, ".h5": _read_hdf5, ".keras": _read_keras}
    if path.suffix not in readers:
        raise InputError(f"weights {path} are of an unknown kind; take a .npz, .weights.h5, .h5 or .keras file")
    if not path.is_file():
        raise InputError(f"weights {path} cannot be read: there is no such file")
    try:
        layers = readers[path.suffix](path)
    except Exception as error:  # a damaged file can break NumPy, h5py or Keras anywhere
        raise InputError(f"weights {path} cannot be read: {' '.join(str(error).split())}") from error
    for layer, arrays in layers.items():
        for variable, array in arrays.items():
            if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
                raise InputError(f"weights {path}: array {layer}/{variable} holds something else than finite numbers")
    return layers


def variables_by_layer(model: keras.Model) -> dict[str, dict[str, keras.Variable]]:
    """The weights of `model`, nested ones included, by layer and variable name, in Keras' order.

    Raises:
        InputError: two variables have the same layer and name.
    """
    return _by_layer((variable.path, variable) for variable in model.weights)


def _read_npz(path: pathlib.Path) -> LayerArrays:
    with np.load(path, allow_pickle=False) as archive:
        return _by_layer((key, archive[key]) for key in archive.files)


def _read_keras(path: pathlib.Path) -> LayerArrays:
    variables = variables_by_layer(keras.saving.load_model(path, compile=False, safe_mode=True))
    return {layer: {name: variable.numpy() for name, variable in own.items()} for layer, own in variables.items()}


def _read_hdf5(path: pathlib.Path) -> LayerArrays:
    with h5py.File(path) as file:
        root = file.get("model_weights", file)
        layers = _by_layer(_published_arrays(root) if "layer_names" in root.attrs else _named_arrays(file))
    if not layers:
        raise InputError("it names no layers; save it again with Keras 3.12 or newer, or as .keras")
    return layers


def _published_arrays(root: h5py.Group) -> Iterator[tuple[str, np.ndarray]]:
    for layer in _texts(root.attrs["layer_names"]):
        for position, name in enumerate(_texts(root[layer].attrs["weight_names"])):
            yield f"{layer}/{position}", np.asarray(root[layer][name])


def _named_arrays(file: h5py.File) -> Iterator[tuple[str, np.ndarray]]:
    groups: list[h5py.Group] = []
    file.visititems(lambda name, item: groups.append(item) if name.endswith("/vars") else None)
    for group in groups:
        if "name" in group.attrs and not group.name.startswith("/optimizer/"):
            for position in sorted(group, key=int):
                yield f"{group.attrs['name']}/{position}", np.asarray(group[position])


def _texts(names: Iterable[str | bytes]) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _by_layer(items: Iterable[tuple[str, T]]) -> dict[str, dict[str, T]]:
    layers: dict[str, dict[str, T]] = {}
    for path, value in items:
        if "/" not in path:
            raise InputError(f"{path!r} is not of the form layer/variable")
        layer, variable = path.split("/")[-2:]
        variable = _NAMELESS.sub("variable", variable)
        if variable in layers.setdefault(layer, {}):
            raise InputError(f"there are two arrays {layer}/{variable}")
        layers[layer][variable] = value
    return layers
