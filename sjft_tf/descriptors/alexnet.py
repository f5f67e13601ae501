"""AlexNet's convolutions as a Keras model, in the two forms that are passed around.

Caffe's `bvlc_alexnet` is the network of the paper: two groups in conv2, conv4 and conv5, normalization across channels
after conv1 and conv2. `torchvision.models.alexnet` has fewer kernels, no groups and no normalization.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import KERNEL_SHAPES, AlexNetWeights

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_POOLED = ("conv1", "conv2")  # layers that a pooling follows


@dataclasses.dataclass(frozen=True)
class Layout:
    """What sets the two forms apart beside the shapes of their kernels.

    Attributes:
        padding: zeros at each side before conv1, in pixels; the other layers' keep a map's size.
        normalizes: whether responses are normalized across channels after conv1 and conv2.
        ceil: whether pooling windows may reach beyond the border (Caffe) or must not (PyTorch).
        blue_first: the order of the input's colors.
        mean, deviation: of the input's colors in that order, on the scale 0..255.
    """

    padding: int
    normalizes: bool
    ceil: bool
    blue_first: bool
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


LAYOUTS = {
    "caffe": Layout(0, True, True, True, (104.0, 116.7, 122.7), (1.0, 1.0, 1.0)),
    "torchvision": Layout(2, False, False, False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def alexnet(weights: AlexNetWeights, *, image_size: int, last: str = "conv5") -> keras.Model:
    """The network from the image to `last`.

    Args:
        weights: at least of the layers up to `last`.
        image_size: S, in pixels; the published networks were trained with 227 (Caffe) and 224 (torchvision).
        last: the last convolution, one of `LAYERS`.

    Returns:
        A functional model: input float32 `[B, S, S, 3]`, RGB 0..255; outputs `{"conv1": ..., "relu1": ..., ...}`,
        `[B, h, w, C]` float32, before and after each ReLU.

    Raises:
        InputError: the weights do not reach to `last`, or the image is too small for one of the layers.
    """
    names = LAYERS[: LAYERS.index(last) + 1]
    if last not in weights.kernels:
        raise InputError(f"the AlexNet weights hold {', '.join(weights.kernels)}; {last} is not among them")
    layout = LAYOUTS[weights.layout]
    image = x = keras.Input((image_size, image_size, 3), name="image")
    x = _Standardized(layout.blue_first, layout.mean, layout.deviation, name="standardize")(x)
    x = _padded(x, layout.padding, layout.padding, "pad_conv1")
    if x.shape[1] < KERNEL_SHAPES[weights.layout]["conv1"][0]:
        raise InputError(f"images of {image_size} px are too small for conv1 of AlexNet; take larger ones")
    outputs = {}
    for name in names:
        x = outputs[name] = _convolved(x, weights, name)
        x = outputs[name.replace("conv", "relu")] = keras.layers.ReLU(dtype="float32", name=f"relu_{name}")(x)
        if name in _POOLED and name != last:
            x = _normalized_and_pooled(x, layout, name, image_size)
    return keras.Model(image, outputs, name=f"alexnet_{weights.layout}")


def _convolved(x: keras.KerasTensor, weights: AlexNetWeights, name: str) -> keras.KerasTensor:
    size, _, channels, n_kernels = KERNEL_SHAPES[weights.layout][name]
    steps = {"strides": 4, "padding": "valid"} if name == "conv1" else {"padding": "same"}
    groups = x.shape[-1] // channels
    convolution = _ConvolutionInGroups(n_kernels, size, groups=groups, dtype="float32", name=name, **steps)
    x = convolution(x)
    convolution.set_weights([weights.kernels[name], weights.biases[name]])
    return x


def _normalized_and_pooled(x: keras.KerasTensor, layout: Layout, name: str, image_size: int) -> keras.KerasTensor:
    if layout.normalizes:
        x = _NormalizedAcrossChannels(name=f"normalize_{name}")(x)
    beyond = -(x.shape[1] - 3) % 2 if layout.ceil else 0
    x = _padded(x, 0, beyond, f"pad_pool_{name}")  # zeros: no maximum after a ReLU is below
    if x.shape[1] < 3:
        raise InputError(f"images of {image_size} px are too small for the pooling after {name} of AlexNet")
    return keras.layers.MaxPooling2D(3, 2, dtype="float32", name=f"pool_{name}")(x)


def _padded(x: keras.KerasTensor, before: int, after: int, name: str) -> keras.KerasTensor:
    if not before and not after:
        return x
    return keras.layers.ZeroPadding2D(((before, after), (before, after)), dtype="float32", name=name)(x)


@keras.saving.register_keras_serializable("sjft_tf")
class _ConvolutionInGroups(keras.layers.Conv2D):
    """Keras's layer, one group after the other: the library's way, a convolution compiled apart, is slower on CPUs."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        halves = zip(tf.split(inputs, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True)
        return tf.concat([super(_ConvolutionInGroups, self).convolution_op(*half) for half in halves], -1)


@keras.saving.register_keras_serializable("sjft_tf")
class _Standardized(keras.layers.Layer):
    """Colors in the network's order, less their mean, divided by their deviation."""

    def __init__(self, blue_first: bool, mean: tuple, deviation: tuple, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.blue_first, self.mean, self.deviation = blue_first, mean, deviation

    def call(self, images: tf.Tensor) -> tf.Tensor:
        ordered = images[..., ::-1] if self.blue_first else images
        return (ordered - tf.constant(self.mean)) / tf.constant(self.deviation)

    def get_config(self) -> dict:
        own = {"blue_first": self.blue_first, "mean": self.mean, "deviation": self.deviation}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("sjft_tf")
class _NormalizedAcrossChannels(keras.layers.Layer):
    """Caffe's local response normalization over 5 channels with alpha 1e-4 and beta 0.75."""

    def __init__(self, **options: Any) -> None:
        super().__init__(dtype="float32", **options)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # Caffe divides alpha by the number of channels summed over, TensorFlow does not
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
