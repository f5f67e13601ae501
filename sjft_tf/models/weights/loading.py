"""Filling a model from a weight file by layer name, and saying what matched and what did not."""

import dataclasses
import inspect
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.models.normalization import flat_layers
from sjft_tf.models.weights.keras_files import read_weights, variables_by_layer

LOGGER = logging.getLogger(__name__)

_LAYER_CLASSES = {name.lower() for name, _ in inspect.getmembers(keras.layers, inspect.isclass)}


@dataclasses.dataclass(frozen=True)
class WeightReport:
    """Names of layers, in the order of the model or of the file."""

    matched: tuple[str, ...]  # filled from the file
    missing: tuple[str, ...]  # in the model, not in the file
    unused: tuple[str, ...]  # in the file, not in the model
    mismatched: tuple[str, ...]  # heads for another number of classes, left as they were

    def __str__(self) -> str:
        """One line for the log."""
        rest = {"not in the file": self.missing, "for other classes": self.mismatched, "not in the model": self.unused}
        said = [f"{text}: {_shortened(names)}" for text, names in rest.items() if names]
        return "; ".join([f"{len(self.matched)} layers filled", *said])


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> WeightReport:
    """Fill the layers of `model` that a weight file names; the rest stays as it is.

    Layers whose names Keras made up (`conv2d_94`) are paired in order of their numbers where the names themselves do
    not agree, because the numbers depend on what the process built before. Heads (layers of the names that the model's
    dictionary of outputs has) for another number of classes are left alone. Either all that fits is assigned or, on an
    error, nothing.

    Args:
        model: a built model; nested models are searched too.
        path: `.npz` with keys `layer/variable`, `.weights.h5`, `.h5` as Keras publishes it, or `.keras`. Arrays are
            cast to the variable's dtype.

    Returns:
        What was filled and what was not; logged in one line, as a warning when a layer other than a head got nothing.

    Raises:
        InputError: the file cannot be read, no layer fits, or a layer has other variables or shapes than the file's.
    """
    stored, variables = read_weights(path), variables_by_layer(model)
    pairs = _paired(list(variables), list(stored))
    heads = set(model.output) if isinstance(model.output, dict) else set()
    filled = {}
    for layer, name in pairs.items():
        arrays = _by_variable(stored[name], list(variables[layer]))
        if _shapes(arrays) == _shapes(variables[layer]):
            filled[layer] = arrays
        elif layer not in heads:
            here, there = _described(variables[layer]), _described(arrays)
            raise InputError(f"weights {path}: layer {layer!r} is {there} in the file but {here} in {model.name}")
    if not filled:
        theirs, ours = _shortened(list(stored)), _shortened(list(variables))
        raise InputError(f"weights {path} fit no layer of {model.name}: the file has {theirs}; the model has {ours}")
    for layer, arrays in filled.items():
        for variable, array in arrays.items():
            variables[layer][variable].assign(array.astype(variables[layer][variable].dtype))
    for inner in flat_layers(model):
        if isinstance(inner, keras.layers.Normalization):
            inner.finalize_state()  # it computes with a copy of its variables
    report = WeightReport(
        matched=tuple(filled),
        missing=tuple(layer for layer in variables if layer not in pairs),
        unused=tuple(name for name in stored if name not in pairs.values()),
        mismatched=tuple(layer for layer in pairs if layer not in filled),
    )
    LOGGER.log(logging.INFO if set(report.missing) <= heads else logging.WARNING, "weights %s: %s", path, report)
    return report


def _paired(layers: Sequence[str], stored: Sequence[str]) -> dict[str, str]:
    """Which stored layer fills which layer of the model: by name, else by order among names that Keras made up."""
    pairs = {layer: layer for layer in layers if layer in stored}
    stored_numbered = _numbered(stored)
    for kind, ours in _numbered(layers).items():
        theirs = stored_numbered.get(kind, [])
        if not set(ours) <= set(theirs) and len(ours) <= len(theirs):
            pairs |= dict(zip(ours, theirs, strict=False))
    return {layer: pairs[layer] for layer in layers if layer in pairs}


def _numbered(layers: Iterable[str]) -> dict[str, list[str]]:
    """The names that Keras made up, by class in snake case, in order of their numbers."""
    found: dict[str, list[tuple[int, str]]] = {}
    for layer in layers:
        kind, _, number = layer.rpartition("_") if re.search(r"_\d+$", layer) else (layer, "", "0")
        if kind.replace("_", "") in _LAYER_CLASSES:
            found.setdefault(kind, []).append((int(number), layer))
    return {kind: [layer for _, layer in sorted(numbered)] for kind, numbered in found.items()}


def _by_variable(arrays: Mapping[str, np.ndarray], variables: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays keyed by position get the names of the variables, as far as there are any."""
    names = dict(zip(map(str, range(len(variables))), variables, strict=True))
    return {names.get(key, key): array for key, array in arrays.items()}


def _shapes(arrays: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {variable: tuple(array.shape) for variable, array in arrays.items()}


def _described(arrays: Mapping[str, Any]) -> str:
    return ", ".join(f"{variable} {shape}" for variable, shape in _shapes(arrays).items())


def _shortened(names: Sequence[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
