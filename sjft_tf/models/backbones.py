"""Trunks by name: raw RGB images to average-pooled features, with the scaling each network was trained on inside.

Our ResNet V2 (`resnet10v2` ... `resnet152v2`, of which 50, 101 and 152 are those of `keras.applications`; and in the
layout of the paper's authors `resnet50v2_identity`, 101 and 152), and every network of `keras.applications` by its name in
lower case. All layers are Keras' own, so that a saved trunk loads where this package is absent; but for those of
`bn="per_domain"`. They lie flat in the model (no model in a model), which keeps the names of published weights at the
top level.
"""

import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any

import keras

from sjft_tf.errors import InputError
from sjft_tf.models.normalization import check_mode, set_batch_normalization
from sjft_tf.models.resnet_v2 import BLOCKS, IDENTITY_DEPTHS, resnet_v2, resnet_v2_identity

# By the module of keras.applications; the networks of modules not named here scale their input themselves.
PREPROCESSING = {
    "densenet": "torch",
    **dict.fromkeys(("inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "nasnet"), "tf"),
    **dict.fromkeys(("resnet_v2", "xception"), "tf"),
    **dict.fromkeys(("resnet", "vgg16", "vgg19"), "caffe"),
}
_OURS: dict[str, tuple[Callable[..., keras.KerasTensor], int, str]] = {  # graph, depth, scaling
    **{f"resnet{depth}v2": (resnet_v2, depth, "tf") for depth in BLOCKS},
    **{f"resnet{depth}v2_identity": (resnet_v2_identity, depth, "caffe_rounded") for depth in IDENTITY_DEPTHS},
}
_APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    name.lower(): constructor for name, constructor in inspect.getmembers(keras.applications, inspect.isfunction)
}


def backbone_names() -> list[str]:
    """Every name `build_trunk` takes, sorted."""
    return sorted(_OURS.keys() | _APPLICATIONS.keys())


def build_trunk(
    backbone: str,
    *,
    image_size: int = 224,
    width: float = 1.0,
    alpha: float | None = None,
    stem: str = "imagenet",
    imagenet: bool = False,
    bn: str = "mixed",
    bn_momentum: float = 0.99,
) -> keras.Model:
    """The trunk of a joint model.

    Args:
        backbone: a name of `backbone_names()`.
        image_size: S, in pixels.
        width, alpha, stem, bn, bn_momentum: as in `joint_model`.
        imagenet: fill with the ImageNet weights that Keras publishes (downloaded once, then cached by Keras). Keras
            gives EfficientNetB0 to B7 a further rescaling in this case alone, so a local copy of their weights does
            not do the same.

    Returns:
        A functional model: input `image`, float32 `[B, S, S, 3]`, RGB 0..255; output features `[B, F]`. Built under a
        strategy of several replicas its batch normalizations take their statistics over all of them.

    Raises:
        InputError: unknown name, an argument the network does not take, an image too small for it, or no weights to be had.
    """
    check_mode(bn)
    if backbone not in backbone_names():
        raise InputError(f"backbone {backbone!r} is unknown{_nearest(backbone)}")
    build = _our_trunk if backbone in _OURS else _keras_trunk
    return set_batch_normalization(build(backbone, image_size, width, alpha, stem, imagenet), bn, bn_momentum)


def own_trunk(model: keras.Model, *, bn: str = "mixed", bn_momentum: float | None = None) -> keras.Model:
    """A user's own model as the trunk of a joint model.

    Args:
        model: functional, from images `[B, S, S, 3]` to features `[B, F]` or `[B, h, w, C]`.
        bn, bn_momentum: as in `joint_model`; layers of the model are changed, but for `"per_domain"`.

    Raises:
        InputError: it is no such model.
    """
    inputs = getattr(model, "inputs", None)  # a subclassed model has none
    if not isinstance(model, keras.Model) or not inputs:
        raise InputError(f"the trunk is a {type(model).__name__}; it must be a functional keras.Model")
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[-1] != 3:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
        raise InputError(f"trunk {model.name!r} takes {shapes}; it must take images [B, S, S, 3]")
    if len(model.outputs) != 1:
        raise InputError(f"trunk {model.name!r} has {len(model.outputs)} outputs; it must have one, its features")
    return set_batch_normalization(keras.Model(inputs[0], model.outputs[0], name=model.name), bn, bn_momentum)


def scaled(image: keras.KerasTensor, mode: str | None) -> keras.KerasTensor:
    """RGB 0..255 to what networks of `mode` take: `"tf"`, `"torch"`, `"caffe"` (of `keras.applications`), `"caffe_rounded"`
    (the authors': BGR minus whole means), or `None` for networks that scale themselves.

    Computed in float32 under any policy: bfloat16 tells 0..255 apart in whole numbers only.
    """
    if mode == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="scale")(image)
    if mode == "torch":
        image = keras.layers.Rescaling(1 / 255, dtype="float32", name="scale")(image)
        return _normalization(mean=[0.485, 0.456, 0.406], variance=[0.229**2, 0.224**2, 0.225**2])(image)
    if mode in ("caffe", "caffe_rounded"):
        mean = [103.939, 116.779, 123.68] if mode == "caffe" else [104.0, 117.0, 123.0]
        return _normalization(mean=mean, variance=[1.0, 1.0, 1.0])(keras.ops.flip(image, axis=-1))
    return image


def _normalization(mean: list[float], variance: list[float]) -> keras.layers.Layer:
    return keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="standardize")


def _our_trunk(
    backbone: str, image_size: int, width: float, alpha: float | None, stem: str, imagenet: bool
) -> keras.Model:
    smallest = 32 if stem == "imagenet" else 16
    if alpha is not None:
        raise InputError(f"alpha is {alpha}, but {backbone} takes none; use width")
    if image_size < smallest:
        raise InputError(f"image_size is {image_size}; {backbone} with stem {stem!r} needs {smallest} or more")
    if imagenet and (backbone not in _APPLICATIONS or width != 1 or stem != "imagenet"):
        raise InputError(
            f"there are no published ImageNet weights for {backbone} at width {width} with stem {stem!r}; "
            "only for resnet50v2, resnet101v2 and resnet152v2 at width 1 with stem 'imagenet'"
        )
    graph, depth, mode = _OURS[backbone]
    image = keras.Input((image_size, image_size, 3), dtype="float32", name="image")
    trunk = keras.Model(image, graph(scaled(image, mode), depth, width=width, stem=stem), name=backbone)
    if imagenet:
        published = _construct(backbone, input_shape=(image_size, image_size, 3), weights="imagenet")
        trunk.set_weights(published.get_weights())
    return trunk


def _keras_trunk(
    backbone: str, image_size: int, width: float, alpha: float | None, stem: str, imagenet: bool
) -> keras.Model:
    constructor = _APPLICATIONS[backbone]
    if width != 1:
        raise InputError(f"width is {width}, but {backbone} takes none; only our ResNet V2 does")
    if stem != "imagenet":
        raise InputError(f"stem is {stem!r}, but {backbone} has its own; only our ResNet V2 has a choice")
    if alpha is not None and "alpha" not in inspect.signature(constructor).parameters:
        raise InputError(f"alpha is {alpha}, but {backbone} takes none; only the MobileNets do")
    shape = (image_size, image_size, 3)
    image = keras.Input(shape, dtype="float32", name="image")
    network = _construct(
        backbone, input_shape=shape, weights="imagenet" if imagenet else None,
        input_tensor=scaled(image, PREPROCESSING.get(constructor.__module__.rpartition(".")[2])),
        **({} if alpha is None else {"alpha": alpha}),
    )  # fmt: skip
    return keras.Model(image, network.output, name=backbone)  # the application itself takes its image in a list


def _construct(backbone: str, *, weights: str | None, **arguments: Any) -> keras.Model:
    try:
        return _APPLICATIONS[backbone](include_top=False, pooling="avg", weights=weights, **arguments)
    except ValueError as error:
        raise InputError(f"{backbone} cannot be built: {_one_line(error)}") from error
    except Exception as error:  # Keras raises a bare Exception when a download fails
        if weights is None:
            raise
        raise InputError(f"the ImageNet weights of {backbone} cannot be had: {_one_line(error)}") from error


def _nearest(backbone: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", backbone.lower())
    close = difflib.get_close_matches(plain, backbone_names(), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; take resnet50v2, mobilenetv2, ... of keras.applications"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
