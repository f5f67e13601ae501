"""Heads on a trunk's features, and the cut of a model with several heads to a classifier."""

from collections.abc import Mapping

import keras

from sjft_tf.errors import InputError, check_at_least
from sjft_tf.models.normalization import as_plain_keras

_HEAD_STDDEV = 0.01  # as in the authors' network definition


def dense_heads(features: keras.KerasTensor, classes: Mapping[str, int]) -> dict[str, keras.KerasTensor]:
    """Logits `[B, classes[name]]` by name, each of a new dense layer of that name, N(0, 0.01) with bias 0, float32.

    Args:
        features: `[B, F]`, or a map `[B, h, w, C]`, which is averaged.
        classes: number of classes by name.

    Raises:
        InputError: a number below 1, or features of another rank.
    """
    check_at_least(1, **{f"{name}_classes": count for name, count in classes.items()})
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="avg_pool")(features)
    if len(features.shape) != 2:
        raise InputError(
            f"the trunk's output is {list(features.shape)}; it must be [B, features] or [B, h, w, channels]"
        )
    return {
        name: keras.layers.Dense(
            count, kernel_initializer=keras.initializers.RandomNormal(stddev=_HEAD_STDDEV), dtype="float32", name=name
        )(features)
        for name, count in classes.items()
    }


def classifier(model: keras.Model, head: str = "target") -> keras.Model:
    """The model's input to the logits of one head, in plain Keras; the other heads are left out.

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
