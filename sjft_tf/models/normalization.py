"""Batch normalization for batches of two domains: statistics of each domain alone, and population statistics.

In training, batches interleave target and source rows (T, S, T, S), and a plain batch normalization takes its statistics
over both: its moving averages then describe a mixture that inference, which sees target images alone, never meets. Here is
what to do about it: normalize each domain by itself, or measure the averages again.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.errors import InputError

BN_MODES = ("mixed", "frozen", "per_domain", "recalibrate")


@keras.saving.register_keras_serializable(package="sjft_tf")
class PerDomainBatchNormalization(keras.layers.BatchNormalization):
    """A batch normalization that, in training, normalizes target and source rows each by their own statistics.

    Rows at even positions of a batch are the target's, at odd positions the source's, and there are as many of each;
    an odd number of rows fails. Scale and shift are shared. The moving averages are the target's. So variables, their
    names and inference are those of a `keras.layers.BatchNormalization`, and `sjft_tf.models.load_weights` fills either
    from files of both (Keras' own `load_weights` goes by class, and passes over the other). As there, statistics are
    float32 under any policy, and over all replicas if `synchronized`. Masks and `renorm` play no part.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """`[2 n, ..., C]` to the same shape."""
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        shape = keras.ops.shape(inputs)
        pairs = keras.ops.reshape(keras.ops.cast(inputs, "float32"), (-1, 2, *shape[1:]))
        channels = self.axis % len(shape) + 1
        reduced = [axis for axis in range(len(shape) + 1) if axis not in (1, channels)]
        along = [-1 if axis == channels else 1 for axis in range(len(shape) + 1)]
        mean, variance = keras.ops.moments(pairs, axes=reduced, keepdims=True, synchronized=self.synchronized)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            of_target = keras.ops.reshape(value, (2, -1))[0]
            average.assign(average * self.momentum + of_target * (1 - self.momentum))
        factor = keras.ops.rsqrt(variance + self.epsilon)
        if self.scale:
            factor *= keras.ops.reshape(self.gamma, along)
        offset = -mean * factor
        if self.center:
            offset += keras.ops.reshape(self.beta, along)
        return keras.ops.cast(keras.ops.reshape(pairs * factor + offset, shape), self.compute_dtype)


class _BatchStatistics(keras.layers.BatchNormalization):
    """Normalizes by the statistics of the batch in inference, too, where dropout is off."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        return super().call(inputs, training=True)


def check_mode(bn: str) -> None:
    """Raise InputError unless `bn` is one of `BN_MODES`."""
    if bn not in BN_MODES:
        raise InputError(f"bn is {bn!r}; it must be one of {', '.join(map(repr, BN_MODES))}")


def set_batch_normalization(model: keras.Model, bn: str, momentum: float | None) -> keras.Model:
    """The model with its batch normalizations as asked for; for `"per_domain"` a copy, for the others itself, changed.

    Built under a strategy of several replicas they take their statistics over all of them. `bn` is as in `joint_model`;
    momentum None leaves it as it is.
    """
    check_mode(bn)
    for layer in batch_normalizations(model):
        layer.momentum = layer.momentum if momentum is None else momentum
        layer.synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
        layer.trainable = bn != "frozen"
    return _copy(model, PerDomainBatchNormalization) if bn == "per_domain" else model


def batch_normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those of a model and of the models inside it, in order."""
    return [layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def as_plain_keras(model: keras.Model) -> keras.Model:
    """`model` itself, or, where it has a `PerDomainBatchNormalization`, a copy that has none and answers the same.

    The copy is not compiled. Such a model must be functional.
    """
    if not any(isinstance(layer, PerDomainBatchNormalization) for layer in flat_layers(model)):
        return model
    return _copy(model, keras.layers.BatchNormalization)


def flat_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those of models inside it in the place of these."""
    for layer in model.layers:
        yield from flat_layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _copy(model: keras.Model, kind: type[keras.layers.BatchNormalization]) -> keras.Model:
    """A plain functional model of new layers with equal weights, in which all batch normalizations are of that kind."""

    def new_layer(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation of keras.ops has no state
        of_kind = kind if isinstance(layer, keras.layers.BatchNormalization) else type(layer)
        return of_kind.from_config(layer.get_config())

    copy = _clone(model, new_layer)
    for ours, theirs in zip(flat_layers(model), flat_layers(copy), strict=True):
        variables: dict[str, keras.Variable] = {}
        ours.save_own_variables(variables)
        theirs.load_own_variables(variables)
    return copy


def _clone(model: keras.Model, new_layer: Callable[[Any], Any]) -> keras.Model:
    plain = keras.Model(model.input, model.output, name=model.name)
    return keras.models.clone_model(plain, clone_function=new_layer, recursive=True)


def recalibrate_batch_normalization(model: keras.Model, images: tf.data.Dataset) -> None:
    """Set the moving averages of every batch normalization to the statistics of `images`.

    Each batch passes the network as in training, normalized by its own statistics, but with dropout off, as it is when the
    averages are used. A layer's mean is that of the batch means, weighted by rows; its variance the mean of the batch
    variances plus the variance of the batch means, which for the first layer are those of the whole set, whatever the
    batches. No other variable changes, and on an error none does.

    Takes a graph of its own, so some seconds for a deep network whatever the images. Works on one device, wherever the
    model lives; under `tf.distribute` call it outside `strategy.run`, by several workers with the same images.

    Args:
        model: functional.
        images: batches `[b, S, S, 3]` float32, RGB 0..255, as training sees the target; b may vary. Few rows a batch
            give a poor estimate in deep layers, as in training.

    Raises:
        InputError: there are no images.
    """
    layers = batch_normalizations(model)
    if layers:
        mean, variance = _population_moments(_batch_moments(model, layers), images)
        bounds = np.cumsum([layer.moving_mean.shape[0] for layer in layers])[:-1]
        for layer, *moments in zip(layers, np.split(mean, bounds), np.split(variance, bounds), strict=True):
            for average, value in zip((layer.moving_mean, layer.moving_variance), moments, strict=True):
                average.assign(value.astype(np.float32))


def _batch_moments(model: keras.Model, layers: list[keras.layers.BatchNormalization]) -> Any:
    """A graph from images to the batch's means and variances in all layers: `[2, channels of all layers]`."""
    twins: dict[int, keras.layers.Layer] = {}

    def shared_or_twin(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer
        settings = {"momentum": 0.0, "synchronized": False, "trainable": True}  # so averages are the last batch's
        twins[id(layer)] = _BatchStatistics.from_config(layer.get_config() | settings)
        return twins[id(layer)]

    twin_model = _clone(model, shared_or_twin)
    for layer in layers:
        twins[id(layer)].set_weights(layer.get_weights())

    @tf.function
    def moments(images: tf.Tensor) -> tf.Tensor:
        twin_model(images, training=False)
        ordered = [twins[id(layer)] for layer in layers]
        means, variances = ([getattr(twin, name) for twin in ordered] for name in ("moving_mean", "moving_variance"))
        return tf.stack([tf.concat(means, 0), tf.concat(variances, 0)])

    return moments.get_concrete_function(tf.TensorSpec(model.input.shape, model.input.dtype))


def _population_moments(batch_moments: Any, images: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over all rows, by the law of total variance; sums in float64."""
    rows, first, second = 0, np.zeros(()), np.zeros(())
    for batch in images:
        mean, variance = batch_moments(tf.convert_to_tensor(batch)).numpy().astype(np.float64)
        rows += batch.shape[0]
        first = first + batch.shape[0] * mean
        second = second + batch.shape[0] * (variance + mean**2)
    if not rows:
        raise InputError("there are no images to take the statistics of batch normalization from")
    mean = first / rows
    return mean, np.maximum(second / rows - mean**2, 0)
