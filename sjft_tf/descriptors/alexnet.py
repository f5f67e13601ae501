"""AlexNet's convolutions, in the two forms that are passed around.

Caffe's `bvlc_alexnet` is the network of the paper: two groups in conv2, conv4 and conv5, normalization across channels
after conv1 and conv2. `torchvision.models.alexnet` has fewer kernels, no groups and no normalization.
"""

import dataclasses

import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import AlexNetWeights

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_POOLED = ("conv1", "conv2")  # layers that a pooling follows


@dataclasses.dataclass(frozen=True)
class _Layout:
    """What sets the two forms apart beside the shapes of their kernels; mean and deviation are of colors in 0..255."""

    padding: int  # zeros at each side before conv1, in pixels; the other layers' keep a map's size
    normalizes: bool  # across channels after conv1 and conv2
    ceil: bool  # whether pooling windows may reach beyond the border (Caffe) or must not (PyTorch)
    blue_first: bool
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


_LAYOUTS = {
    "caffe": _Layout(0, True, True, True, (104.0, 116.7, 122.7), (1.0, 1.0, 1.0)),
    "torchvision": _Layout(2, False, False, False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


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
    layout = _LAYOUTS[weights.layout]
    x = images[..., ::-1] if layout.blue_first else images
    x = _padded((x - layout.mean) / layout.deviation, layout.padding, layout.padding)
    _check_size(x, len(weights.kernels["conv1"]), images, "conv1")
    outputs = {}
    for name in LAYERS[: LAYERS.index(last) + 1]:
        outputs[name] = _convolved(x, weights, name)
        x = outputs[name.replace("conv", "relu")] = tf.nn.relu(outputs[name])
        if name in _POOLED and name != last:
            if layout.normalizes:  # over five channels, by whose number Caffe divides alpha and TensorFlow does not
                x = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
            x = _padded(x, 0, -(x.shape[1] - 3) % 2 if layout.ceil else 0)  # zeros: no maximum after a ReLU is below
            _check_size(x, 3, images, f"the pooling after {name}")
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    return outputs


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
