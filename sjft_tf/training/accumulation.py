"""Gradients of several batches for one update."""

from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError


def check_rows(images: tf.Tensor, iter_size: int, *, in_pairs: bool) -> None:
    """Raise InputError unless a replica's rows are `iter_size` equal batches of whole pairs of target and source."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    group = iter_size * (2 if in_pairs and (replicas > 1 or iter_size > 1) else 1)
    if group == 1:
        return
    message = (
        f"a batch does not split into equal numbers of target and source images on {replicas} replicas in {iter_size} "
        f"parts; take a multiple of {group * replicas} as its rows"
    )
    shape = tf.TensorShape(images.shape)
    if shape.rank is None or (shape[0] or 0) % group:  # parts of different sizes have no common shape
        raise InputError(message)
    if shape[0] is None:  # as with several workers
        tf.debugging.assert_equal(tf.shape(images)[0] % group, 0, message)


def part(rows: tf.Tensor, number: tf.Tensor | int, iter_size: int, *, in_pairs: bool) -> tf.Tensor:
    """`[B, ...]`: of `[iter_size B, ...]` rows every `iter_size`-th, from `number` on; `in_pairs`: every such pair of rows.

    So any even split of the rows over replicas splits each of the batches evenly.
    """
    pairs = tf.reshape(rows, (-1, iter_size, 2 if in_pairs else 1, *rows.shape[1:]))
    return tf.reshape(tf.gather(pairs, number, axis=1), (-1, *rows.shape[1:]))


def accumulated_gradients(model: keras.Model, data: tuple, iter_size: int, *, in_pairs: bool) -> list[tf.Tensor]:
    """Mean gradients of the batches that `data` (images, labels, weights) holds, see `part`; losses, metrics are counted."""
    variables = model.trainable_variables

    def add_batch(number: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.control_dependencies(sums):  # one batch after the other, or all would be in memory at once
            batch = tf.nest.map_structure(lambda rows: part(rows, number, iter_size, in_pairs=in_pairs), data)
        gradients = _gradients(model, batch, variables)
        return (number + 1, *(total + gradient for total, gradient in zip(sums, gradients, strict=True)))

    state: tuple = (tf.constant(0), *(tf.zeros(variable.shape, variable.dtype) for variable in variables))
    # What merges replicas, as synchronized batch normalization does, cannot stand inside a loop of the graph.
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        for _ in range(iter_size):
            state = add_batch(*state)
    else:
        state = tf.while_loop(
            lambda number, *_: number < iter_size,
            add_batch, state, parallel_iterations=1, maximum_iterations=iter_size,
        )  # fmt: skip
    return [total / iter_size for total in state[1:]]


def _gradients(model: keras.Model, batch: tuple, variables: list) -> list[tf.Tensor]:
    images, labels, weights = batch
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        loss = model.compute_loss(images, labels, outputs, weights, training=True)
        scaled = model.optimizer.scale_loss(loss)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    mean_loss: Any = next(metric for metric in model.metrics if metric.name == "loss")
    mean_loss.update_state(loss * replicas, sample_weight=tf.shape(images)[0])
    model.compute_metrics(images, labels, outputs, weights)
    zero = tf.UnconnectedGradients.ZERO
    return [tf.convert_to_tensor(g) for g in tape.gradient(scaled, variables, unconnected_gradients=zero)]
