"""Pre-activation residual networks (ResNet V2) as functional Keras graphs, by depth and width.

Depths 50, 101 and 152 at width 1 with the ImageNet stem are `keras.applications.ResNet{50,101,152}V2` layer for layer:
names, order of weights, biases, padding, stride in the last block of a stage with a strided max pool as its shortcut.
Depths 18 and 34, which Keras does not have, are the authors', and 10, for small tasks, is like them: two 3x3 convolutions
a block, stride in the first block of a stage, a projection only where the shape changes, no biases in the blocks (batch
normalization follows every sum).

`resnet_v2_identity` is the other layout of depths 50, 101 and 152, that of the paper's authors: batch normalization and
ReLU already in the stem, none at the start of a block but after every sum, stride in the first 1x1 convolution of the
first block of a stage and in its projection, no biases. The two have as many convolutions and batch normalizations, but
weights of one mean nothing in the other.

References: He et al., "Identity mappings in deep residual networks", ECCV 2016; Ge & Yu, CVPR 2017.
"""

from collections.abc import Iterable
from typing import Any

import keras

from sjft_tf.errors import InputError

BLOCKS = {
    10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
}  # fmt: skip
IDENTITY_DEPTHS = (50, 101, 152)
STEMS = ("imagenet", "small")

_BN_EPSILON = 1.001e-5
_IDENTITY_BN_EPSILON = 1e-5


def resnet_v2(image: keras.KerasTensor, depth: int, *, width: float = 1.0, stem: str = "imagenet") -> keras.KerasTensor:
    """Average-pooled features of a ResNet V2 over `image`.

    Args:
        image: `[B, S, S, 3]`, scaled to -1..1.
        depth: 10, 18 or 34 (basic blocks), 50, 101 or 152 (bottleneck blocks).
        width: factor on the number of kernels of every layer; 0.5 is the network of the paper's Table 1.
        stem: `"imagenet"` (7x7 stride 2, then 3x3 max pool stride 2) or `"small"` for images of about 64 px
            (3x3 stride 2, no pool, so that the first stage runs at half the image's size).

    Returns:
        `[B, F]`, F = 512 (basic) or 2048 (bottleneck) times `width`.

    Raises:
        InputError: unknown depth or stem, or a width that is not positive.
    """
    _check(depth, BLOCKS, width, stem)
    x = _padded_conv(image, _kernels(64, width), 7 if stem == "imagenet" else 3, "conv1", strides=2, use_bias=True)
    if stem == "imagenet":
        x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, blocks in enumerate(BLOCKS[depth]):
        kernels = _kernels(64 * 2**stage, width)
        for block in range(1, blocks + 1):
            name = f"conv{stage + 2}_block{block}"
            if depth < 50:
                x = _basic(x, kernels, name, strides=2 if block == 1 and stage > 0 else 1)
            else:
                x = _bottleneck(x, kernels, name, strides=2 if block == blocks and stage < 3 else 1, project=block == 1)
    x = _normalized(x, "post")
    return keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)


def resnet_v2_identity(
    image: keras.KerasTensor, depth: int, *, width: float = 1.0, stem: str = "imagenet"
) -> keras.KerasTensor:
    """Average-pooled features of a ResNet V2 in the authors' layout over `image`.

    Arguments, result and errors as of `resnet_v2`, but for `image`, which is BGR 0..255 minus (104, 117, 123), the depths,
    which are 50, 101 and 152, and the max pool of `"imagenet"`, which rounds sizes up, as Caffe's does.
    """
    _check(depth, IDENTITY_DEPTHS, width, stem)
    x = activated = _identity_stem(image, _kernels(64, width), stem)
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(1, blocks + 1):
            name = f"conv{stage + 2}_block{block}"
            strides = 2 if block == 1 and stage > 0 else 1
            x = _identity_bottleneck(x, activated, _kernels(64 * 2**stage, width), name, strides, project=block == 1)
            activated = _normalized(x, f"{name}_post", _IDENTITY_BN_EPSILON)
    return keras.layers.GlobalAveragePooling2D(name="avg_pool")(activated)


def _check(depth: int, depths: Iterable[int], width: float, stem: str) -> None:
    if depth not in depths:
        raise InputError(f"ResNet V2 of depth {depth} does not exist; choose one of {', '.join(map(str, depths))}")
    if stem not in STEMS:
        raise InputError(f"stem is {stem!r}; it must be one of {', '.join(map(repr, STEMS))}")
    if not width > 0:
        raise InputError(f"width is {width}; it must be above 0")


def _kernels(count: int, width: float) -> int:
    return max(1, round(count * width))


def _bottleneck(x: keras.KerasTensor, kernels: int, name: str, *, strides: int, project: bool) -> keras.KerasTensor:
    activated = _normalized(x, f"{name}_preact")
    if project:
        shortcut = _conv(activated, 4 * kernels, 1, f"{name}_0_conv", use_bias=True)
    else:
        shortcut = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_0_pool")(x) if strides > 1 else x
    x = _conv(activated, kernels, 1, f"{name}_1_conv")
    x = _normalized(x, f"{name}_1")
    x = _padded_conv(x, kernels, 3, f"{name}_2", strides=strides)
    x = _normalized(x, f"{name}_2")
    x = _conv(x, 4 * kernels, 1, f"{name}_3_conv", use_bias=True)
    return keras.layers.Add(name=f"{name}_out")([shortcut, x])


def _basic(x: keras.KerasTensor, kernels: int, name: str, *, strides: int) -> keras.KerasTensor:
    activated = _normalized(x, f"{name}_preact")
    project = strides > 1 or x.shape[-1] != kernels
    shortcut = _conv(activated, kernels, 1, f"{name}_0_conv", strides=strides) if project else x
    x = _padded_conv(activated, kernels, 3, f"{name}_1", strides=strides)
    x = _normalized(x, f"{name}_1")
    x = _padded_conv(x, kernels, 3, f"{name}_2")
    return keras.layers.Add(name=f"{name}_out")([shortcut, x])


def _identity_stem(x: keras.KerasTensor, kernels: int, stem: str) -> keras.KerasTensor:
    x = _padded_conv(x, kernels, 7 if stem == "imagenet" else 3, "conv1", strides=2)
    x = _normalized(x, "conv1", _IDENTITY_BN_EPSILON)
    if stem == "imagenet":
        # Windows of an even size reach one pixel beyond it: after a ReLU 0 is as good as nothing. Of an odd size none
        # does, and the padding falls off again.
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name="pool1_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    return x


def _identity_bottleneck(
    x: keras.KerasTensor, activated: keras.KerasTensor, kernels: int, name: str, strides: int, *, project: bool
) -> keras.KerasTensor:
    shortcut = _conv(activated, 4 * kernels, 1, f"{name}_0_conv", strides=strides) if project else x
    x = _conv(activated, kernels, 1, f"{name}_1_conv", strides=strides)
    x = _normalized(x, f"{name}_1", _IDENTITY_BN_EPSILON)
    x = _padded_conv(x, kernels, 3, f"{name}_2")
    x = _normalized(x, f"{name}_2", _IDENTITY_BN_EPSILON)
    x = _conv(x, 4 * kernels, 1, f"{name}_3_conv")
    return keras.layers.Add(name=f"{name}_out")([shortcut, x])


def _normalized(x: keras.KerasTensor, name: str, epsilon: float = _BN_EPSILON) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=epsilon, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def _padded_conv(x: keras.KerasTensor, kernels: int, size: int, name: str, **settings: Any) -> keras.KerasTensor:
    x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    return _conv(x, kernels, size, f"{name}_conv", **settings)


def _conv(
    x: keras.KerasTensor, kernels: int, size: int, name: str, *, strides: int = 1, use_bias: bool = False
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        kernels, size, strides=strides, use_bias=use_bias, kernel_initializer="he_normal", name=name
    )(x)
