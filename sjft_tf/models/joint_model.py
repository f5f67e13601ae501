"""One trunk, two heads: the model that joint fine-tuning trains, and its cut to a classifier (specification 4.1)."""

import os

import keras

from sjft_tf.errors import InputError
from sjft_tf.models.accumulation import JointModel
from sjft_tf.models.backbones import build_trunk
from sjft_tf.models.normalization import as_plain_keras
from sjft_tf.models.weights.loading import load_weights

_HEAD_STDDEV = 0.01  # specification 4.5


def joint_model(
    backbone: str,
    *,
    target_classes: int,
    source_classes: int | None,
    weights: str | os.PathLike[str] | None = None,
    image_size: int = 224,
    width: float = 1.0,
    alpha: float | None = None,
    stem: str = "imagenet",
    bn: str = "mixed",
    bn_momentum: float = 0.99,
) -> keras.Model:
    """A trunk that the target and the source domain share, with one dense head each.

    The layers lie flat in the model, so that published weights, checkpoints and `classifier()` have the same names.
    The heads start from N(0, 0.01) with bias 0 even when the file `weights` holds heads; `load_weights` on the result
    restores those too. Under mixed precision (Keras' global policy) the scaling of the input and both heads stay
    float32.

    Args:
        backbone: `"resnet18v2"`, 34, 50, 101, 152; `"resnet50v2_identity"`, 101, 152, the authors' layout; or a net of
            `keras.applications` in lower case (`"mobilenetv2"`).
        target_classes, source_classes: outputs of the heads; without `source_classes` there is no source head.
        weights: of the trunk: `None` (random), `"imagenet"` (published by Keras), or a file for `load_weights`.
        image_size: S, in pixels.
        width: factor on the kernels of every layer, for the ResNets V2.
        alpha: the same for the MobileNets.
        stem: `"small"` gives the ResNets V2 a 3x3 stride 2 stem without pooling, for images of about 64 px.
        bn: what batch normalizations do in training, specification 4.4. `"mixed"`: statistics of target and source rows
            together. `"per_domain"`: of each domain alone, with the target's kept for inference (so the source head is
            not to be evaluated); rows must come T, S, T, S; without `source_classes` the same as `"mixed"`. `"frozen"`:
            those of the weights throughout, which with their scale and shift stay as they are (Keras' `trainable =
            False`). `"recalibrate"`: as `"mixed"`; the caller passes target images through
            `recalibrate_batch_normalization` before the model is used.
        bn_momentum: of the moving averages of every batch normalization; specification 4.4. They describe the last
            1 / (1 - momentum) steps or so: in short rounds take 0.9, or they lag behind the weights that they serve.

    Returns:
        A functional model: input `image`, float32 `[B, S, S, 3]`, RGB 0..255; outputs
        `{"target": [B, target_classes], "source": [B, source_classes]}`, float32 logits.

    Raises:
        InputError: unknown backbone, impossible argument, or weights that cannot be used.

    Reference: Ge & Yu, CVPR 2017, section 3.1.
    """
    classes = {"target": target_classes} | ({} if source_classes is None else {"source": source_classes})
    for domain, count in classes.items():
        if count < 1:
            raise InputError(f"{domain}_classes is {count}; it must be 1 or more")
    trunk = build_trunk(
        backbone,
        image_size=image_size,
        width=width,
        alpha=alpha,
        stem=stem,
        imagenet=weights == "imagenet",
        bn="mixed" if bn == "per_domain" and source_classes is None else bn,
        bn_momentum=bn_momentum,
    )
    if weights is not None and weights != "imagenet":
        load_weights(trunk, weights)
    outputs = {domain: _head(count, domain)(trunk.output) for domain, count in classes.items()}
    return JointModel(trunk.input, outputs, name=f"{backbone}_joint")


def classifier(model: keras.Model, head: str = "target") -> keras.Model:
    """The model's input to the logits of one head, in plain Keras; the other head is left out.

    The layers are shared with `model`, except where it was made with `bn="per_domain"`: then the classifier is a copy,
    with the weights of this moment and plain batch normalizations in place of ours. The answers are the same.

    Raises:
        InputError: `model` has no output of that name.
    """
    outputs = model.output
    if not isinstance(outputs, dict) or head not in outputs:
        names = ", ".join(map(repr, outputs)) if isinstance(outputs, dict) else "a single unnamed output"
        raise InputError(f"model {model.name} has no head {head!r}; it has {names}")
    return as_plain_keras(keras.Model(model.input, outputs[head], name="classifier"))


def _head(classes: int, name: str) -> keras.layers.Layer:
    initializer = keras.initializers.RandomNormal(stddev=_HEAD_STDDEV)
    return keras.layers.Dense(classes, kernel_initializer=initializer, dtype="float32", name=name)
