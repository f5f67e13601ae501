"""AlexNet's low layers as a filter bank, the paper's own choice beside Gabor filters, in the two forms passed around.

Caffe's `bvlc_alexnet` is the network of the paper: two groups in conv2, conv4 and conv5, normalization across channels
after conv1 and conv2. `torchvision.models.alexnet` has fewer kernels, no groups and no normalization.
"""

import functools
import importlib.resources
import os
from typing import Any

import tensorflow as tf

from sjft_tf import files
from sjft_tf.descriptors.bank import channels_first, of_groups
from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import AlexNetWeights, read_alexnet_weights

EMBEDDED = "alexnet-tiny-imagenet"
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
TAPS = {"pre_relu": "conv", "post_relu": "relu"}
_BGR_MEAN = (104.0, 116.7, 122.7)  # Caffe's, of colors in 0..255
_RGB_MEAN, _RGB_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # torchvision's


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


def alexnet_responses(images: tf.Tensor, weights: AlexNetWeights, *, last: str = "conv5") -> dict[str, tf.Tensor]:
    """Responses of the layers from the image to `last`.

    Args:
        images: `[B, S, S, 3]` float32 RGB, 0..255; the published networks were trained with S = 227 (Caffe) and 224.
        weights: at least of the layers up to `last`.
        last: the last convolution, one of `LAYERS`.

    Returns:
        `{"conv1": ..., "relu1": ..., ...}`, `[B, h, w, C]` float32, before and after each ReLU.

    Raises:
        InputError: the weights do not reach to `last`, or the images are too small for one of the layers.
    """
    if last not in weights.kernels:
        raise InputError(f"the AlexNet weights hold {', '.join(weights.kernels)}; {last} is not among them")
    is_caffe = weights.layout == "caffe"
    x = images[..., ::-1] - _BGR_MEAN if is_caffe else _padded((images - _RGB_MEAN) / _RGB_DEVIATION, 2, 2)
    _check_size(x, len(weights.kernels["conv1"]), images, "conv1")
    outputs = {}
    for name in LAYERS[: LAYERS.index(last) + 1]:
        outputs[name] = _convolved(x, weights, name)
        x = outputs[name.replace("conv", "relu")] = tf.nn.relu(outputs[name])
        if name in ("conv1", "conv2") and name != last:
            if is_caffe:  # over five channels, by whose number Caffe divides alpha and TensorFlow does not
                x = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
            # Caffe's windows reach beyond the border, PyTorch's do not; no maximum after a ReLU is below these zeros
            x = _padded(x, 0, -(x.shape[1] - 3) % 2 if is_caffe else 0)
            _check_size(x, 3, images, f"the pooling after {name}")
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    return outputs


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


def _convolved(x: tf.Tensor, weights: AlexNetWeights, name: str) -> tf.Tensor:
    """One group after the other: the library's own way, a convolution compiled apart, is slower on CPUs."""
    kernel, step = weights.kernels[name], (4, "VALID") if name == "conv1" else (1, "SAME")
    groups = x.shape[-1] // kernel.shape[2]
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([tf.nn.conv2d(*part, *step) for part in parts], -1) + weights.biases[name]


def _padded(x: tf.Tensor, before: int, after: int) -> tf.Tensor:
    return tf.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))


def _check_size(x: tf.Tensor, least: int, images: tf.Tensor, layer: str) -> None:
    if x.shape[1] < least:
        raise InputError(f"images of {images.shape[1]} px are too small for {layer} of AlexNet; take larger ones")
