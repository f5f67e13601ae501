"""Whether the losses of target and source pull the trunk the same way: norms of their gradients, and the angle between."""

import weakref
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.training.accumulation import part
from sjft_tf.training.objectives import SOURCE, TARGET

# Keyed weakly, and the functions in it hold their model weakly, so that a model that nobody uses is freed.
_traced: weakref.WeakKeyDictionary[keras.Model, Callable] = weakref.WeakKeyDictionary()


class Conflict(NamedTuple):
    """L2 norms of the gradients of target's and source's part of the loss on the trunk, and the cosine of their angle.

    The cosine is in -1..1: 1 is the same pull, 0 independent ones, -1 opposite ones; it is 0 where a norm is 0.
    """

    target_norm: float
    source_norm: float
    cosine: float


def gradient_conflict(model: keras.Model, batch: tuple[tf.Tensor, Mapping, Mapping]) -> Conflict:
    """The gradients of the target's and the source's part of the loss with respect to the trunk, compared.

    The parts are those whose sum is trained on, as compiled: with the masks of `joint_dataset` and the terms of the paper
    `mean(target)` and `source_weight mean(source)`, each over its own domain's rows. So the norms say how hard each domain
    pulls in an update, before weight decay. The trunk is every trainable variable but those of layers that have an output's
    name. Batch normalization and dropout work as in training.

    The model is left as it was, to the bit: no moving average, seed, metric or optimizer variable changes. Its graph is
    traced at the first call for a model, with the losses that it is compiled with then. A model of
    `tf.distribute.MirroredStrategy` is called like any other, outside of `strategy.run`, inside the scope or not: one
    device takes the whole batch, so that plain batch normalizations have the statistics that synchronized ones have.

    Args:
        model: a compiled model whose outputs and head layers are named `target` and `source`; it may have further outputs.
        batch: an element of `joint_dataset`; of the batches of one update, where the model has an `iter_size`, the first.

    Returns:
        Norms and cosine, computed in float32; not finite where the gradients are not.

    Raises:
        InputError: the model has no two such heads, or is not compiled.
    """
    iter_size = getattr(model, "iter_size", 1)
    images, labels, weights = tf.nest.map_structure(lambda rows: part(rows, 0, iter_size, in_pairs=True), batch)
    if model not in _traced:
        _check(model)
        _traced[model] = _comparison(model)
    return Conflict(*_traced[model](images, dict(labels), dict(weights)).numpy().tolist())


def _comparison(model: keras.Model) -> Callable:
    reference = weakref.ref(model)
    heads = {
        id(variable) for layer in model.layers if layer.name in model.output for variable in layer.trainable_variables
    }

    @tf.function(reduce_retracing=True)
    def compared(images: tf.Tensor, labels: dict, weights: dict) -> tf.Tensor:
        model = reference()
        assert model is not None  # it is the key by which this function was found
        trunk = [variable for variable in model.trainable_variables if id(variable) not in heads]
        values = [tf.convert_to_tensor(variable.value) for variable in trunk]  # of replicas, the first one's
        with tf.GradientTape(persistent=True) as tape, keras.StatelessScope(zip(trunk, values, strict=True)):
            tape.watch(values)
            logits = model(images, training=True)  # the scope takes its updates, and is dropped
            losses = {head: _part(model, head, labels, logits, weights) for head in (TARGET, SOURCE)}
        zero = tf.UnconnectedGradients.ZERO
        target, source = (tape.gradient(losses[head], values, unconnected_gradients=zero) for head in (TARGET, SOURCE))
        return _norms_and_cosine(target, source)

    return compared


def _part(model: keras.Model, head: str, labels: dict, logits: dict, weights: dict) -> tf.Tensor:
    """The part of the compiled loss that is one head's."""
    masked = {name: rows if name == head else tf.zeros_like(rows) for name, rows in weights.items()}
    loss = model.compute_loss(y=labels, y_pred=logits, sample_weight=masked)
    # In the scope of a strategy Keras divides a loss by the replicas, each of which would have its share of the rows.
    return loss * float(tf.distribute.get_strategy().num_replicas_in_sync)


def _norms_and_cosine(one: list[tf.Tensor], other: list[tf.Tensor]) -> tf.Tensor:
    """`[3]` float32: the norms of two gradients, each a list of tensors, and the cosine of their angle."""
    one, other = ([tf.cast(gradient, tf.float32) for gradient in side] for side in (one, other))
    norms = [tf.linalg.global_norm(side) for side in (one, other)]
    # Scaled before they are multiplied: products of small gradients would underflow.
    scales = [tf.math.divide_no_nan(1.0, norm) for norm in norms]
    products = [tf.reduce_sum(a * scales[0] * (b * scales[1])) for a, b in zip(one, other, strict=True)]
    return tf.stack([*norms, tf.add_n(products)])


def _check(model: keras.Model) -> None:
    names = {layer.name for layer in model.layers}
    if not {TARGET, SOURCE} <= names & set(model.output):
        outputs = ", ".join(map(repr, model.output))
        raise InputError(
            f"model {model.name} has the heads {outputs}; a comparison of gradients needs {TARGET!r}, {SOURCE!r}"
        )
    if not model.compiled:
        raise InputError(f"model {model.name} has no losses whose gradients could be compared; compile it")
