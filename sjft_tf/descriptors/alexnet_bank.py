"""AlexNet's low layers as a filter bank: the paper's own choice beside Gabor filters."""

import functools
import importlib.resources
import os
from typing import Any

import tensorflow as tf

from sjft_tf import files
from sjft_tf.descriptors.alexnet import LAYERS, alexnet_responses
from sjft_tf.descriptors.bank import channels_first, of_groups
from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import AlexNetWeights, read_alexnet_weights

EMBEDDED = "alexnet-tiny-imagenet"
TAPS = {"pre_relu": "conv", "post_relu": "relu"}


class AlexNetBank:
    """Responses of a range of AlexNet's convolutions, a group a layer; a `FilterBank`.

    Args:
        weights: a file for `read_alexnet_weights`; None for `alexnet-tiny-imagenet`, which the package holds: conv1 and
            conv2 of AlexNet's form, trained by this project on 50,000 small photographs, and not AlexNet's own.
        layers: the layers described, "conv1", "conv1-conv2", ... "conv4-conv5".
        tap: "pre_relu" as in the authors' code, or "post_relu" as the paper says (section 3.2).

    Raises:
        InputError: the file cannot be used or lacks a layer, or `layers` or `tap` is unknown; by `responses`, images are
            too small.
    """

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, *, layers: str = "conv1-conv2", tap: str = "pre_relu"
    ) -> None:
        if tap not in TAPS:
            raise InputError(f"tap is {tap!r}; it must be one of {', '.join(TAPS)}")
        self._names = _range(layers)
        self.weights = _embedded() if weights is None else read_alexnet_weights(weights)
        missing = [name for name in self._names if name not in self.weights.kernels]
        if missing:
            held = ", ".join(self.weights.kernels)
            raise InputError(f"{weights or EMBEDDED} holds {held}; layers {layers!r} need {', '.join(missing)} as well")
        self._layers, self._tap = layers, tap
        sizes = {name: len(self.weights.biases[name]) for name in self._names}
        self.channel_weights, self.channel_names = of_groups(sizes, "kernel")

    def config(self) -> dict[str, Any]:
        """Layers, tap, and a digest of the weights that matter."""
        last = LAYERS.index(self._names[-1]) + 1
        arrays = [held[name] for name in LAYERS[:last] for held in (self.weights.kernels, self.weights.biases)]
        return {
            "bank": "alexnet", "layout": self.weights.layout, "weights": files.digest(*arrays),
            "layers": self._layers, "tap": self._tap,
        }  # fmt: skip

    def responses(self, images: tf.Tensor) -> list[tf.Tensor]:
        """The layers' maps."""
        outputs = alexnet_responses(images, self.weights, last=self._names[-1])
        return channels_first(outputs[name.replace("conv", TAPS[self._tap])] for name in self._names)


def _range(layers: str) -> tuple[str, ...]:
    """The names in "conv1-conv2"."""
    first, dash, last = layers.partition("-")
    last = last if dash else first
    if first not in LAYERS or last not in LAYERS or LAYERS.index(first) > LAYERS.index(last):
        raise InputError(f"layers is {layers!r}; it must be one of conv1 to conv5 or a range such as conv1-conv2")
    return LAYERS[LAYERS.index(first) : LAYERS.index(last) + 1]


@functools.lru_cache(maxsize=1)
def _embedded() -> AlexNetWeights:
    resource = importlib.resources.files("sjft_tf.descriptors") / f"{EMBEDDED}.npz"
    with importlib.resources.as_file(resource) as path:
        return read_alexnet_weights(path)
