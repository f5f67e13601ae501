"""Layers of any Keras network as a filter bank, and its pooled features as the semantic counterpart."""

import difflib
import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sjft_tf import files
from sjft_tf.descriptors.bank import channels_first, of_groups
from sjft_tf.errors import InputError


class KerasBank:
    """Responses of some layers of a network, in inference mode, a group a layer; a `FilterBank`.

    Args:
        model: takes RGB images in 0..255, float32 `[B, S, S, 3]`, and scales them itself.
        layers: names of layers whose outputs are `[B, h, w, C]`; low ones for low-level statistics.

    Raises:
        InputError: a layer is unknown or of another form, or none is named.
    """

    def __init__(self, model: keras.Model, layers: Sequence[str]) -> None:
        if not layers or len(set(layers)) < len(layers):
            raise InputError(
                f"the layers of {model.name} are {list(layers)}; a bank needs at least one, and none twice"
            )
        outputs = {name: _output(model, name) for name in layers}
        self._layers = tuple(layers)
        self._model = keras.Model(model.input, outputs, name=model.name)
        sizes = {name: output.shape[-1] for name, output in outputs.items()}
        self.channel_weights, self.channel_names = of_groups(sizes, "channel")

    def config(self) -> dict[str, Any]:
        """Network, layers, and a digest of the weights up to them."""
        return {"bank": "keras", "layers": list(self._layers), **_network(self._model)}

    def responses(self, images: tf.Tensor) -> list[tf.Tensor]:
        """The layers' maps."""
        outputs = self._model(images, training=False)
        return channels_first(outputs[name] for name in self._layers)


class PooledFeatures:
    """The output of a network that ends in pooled features: what an image shows, not how it looks; a `FeatureExtractor`.

    Args:
        model: takes RGB images in 0..255, float32 `[B, S, S, 3]`, and returns `[B, F]`.

    Raises:
        InputError: the model returns something else.
    """

    def __init__(self, model: keras.Model) -> None:
        shape = tuple(getattr(model.output, "shape", ()))
        if len(shape) != 2:
            raise InputError(f"the output of {model.name} is {shape}; pooled features are [B, F]")
        self._model = model
        self.n_features = int(shape[1])

    def config(self) -> dict[str, Any]:
        """Network, and a digest of its weights."""
        return {"bank": "keras", "layers": "pooled", **_network(self._model)}

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """The network's output."""
        return tf.cast(self._model(images, training=False), tf.float32)


def _output(model: keras.Model, name: str) -> keras.KerasTensor:
    names = [layer.name for layer in model.layers]
    if name not in names:
        near = difflib.get_close_matches(name, names, 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(names[:5])}, ..."
        raise InputError(f"{model.name} has no layer {name!r}; {hint}")
    output = model.get_layer(name).output
    shape = getattr(output, "shape", ())
    if len(shape) != 4 or None in shape[1:]:
        raise InputError(f"layer {name!r} of {model.name} returns {tuple(shape)}; a bank needs maps [B, h, w, C]")
    return output


def _network(model: keras.Model) -> dict[str, Any]:
    """Name and digests of what the network computes; names of layers, which count through a process, left out."""
    positions = {id(layer.output): i for i, layer in enumerate(model.layers) if not isinstance(layer.output, list)}
    layers = []
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        fed_by = [positions.get(id(tensor), -1) for tensor in inputs]
        layers.append([type(layer).__name__, {**layer.get_config(), "name": ""}, fed_by])
    structure = json.dumps(layers, sort_keys=True, default=str)
    return {"network": model.name, "structure": files.digest(structure), "weights": files.digest(*model.get_weights())}
