"""The Keras model whose train step can take several batches for one update."""

from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError


class JointModel(keras.Model):
    """A functional Keras model that accumulates gradients where its data hold several batches for one update.

    Images of rank 4 are one batch: training is Keras' own. Images `[B, n, S, S, 3]` with labels and weights `[B, n]`
    are `n` batches of `B` rows: the update is made by the mean of their gradients, as with Caffe's `iter_size`, and the
    moving averages of batch normalization move with each of them. Memory is that of one batch, and of one more set of
    gradients. It holds under `tf.distribute`, too, which splits the rows; Keras' `gradient_accumulation_steps` fails there.
    """

    def train_step(self, data: tuple) -> dict[str, Any]:
        """One update; the running means of the metrics come back.

        Raises:
            InputError: a replica gets an odd number of rows, so not as many of the target as of the source.
        """
        images = data[0] if isinstance(data, tuple) else data
        shape = tf.TensorShape(images.shape)
        if len(self.output_names) > 1:
            _check_rows(images, shape)
        return self._accumulated_step(data) if shape.rank == 5 else super().train_step(data)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Under a strategy, `fit` first builds loss and metrics for a batch of its data; of several it must see one.
        if data_batch is not None and len(data_batch[0].shape) == 5:
            data_batch = tf.nest.map_structure(lambda rows: rows[:, 0], data_batch)
        super()._symbolic_build(iterator, data_batch)

    def _accumulated_step(self, data: tuple) -> dict[str, Any]:
        n, variables = data[0].shape[1], self.trainable_variables
        # What merges replicas, as synchronized batch normalization does, cannot stand inside a loop of the graph.
        unrolled = tf.distribute.get_strategy().num_replicas_in_sync > 1

        def add_batch(number: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.control_dependencies(sums):  # one batch after the other, or all would be in memory at once
                batch = tf.nest.map_structure(lambda rows: tf.gather(rows, number, axis=1), data)
            gradients = self._gradients(batch, variables)
            return (number + 1, *(total + gradient for total, gradient in zip(sums, gradients, strict=True)))

        state: tuple = (tf.constant(0), *(tf.zeros(variable.shape, variable.dtype) for variable in variables))
        if unrolled:
            for _ in range(n):
                state = add_batch(*state)
        else:
            state = tf.while_loop(
                lambda number, *_: number < n, add_batch, state, parallel_iterations=1, maximum_iterations=n
            )
        self.optimizer.apply_gradients([(total / n, v) for total, v in zip(state[1:], variables, strict=True)])
        return self.get_metrics_result()

    def _gradients(self, batch: tuple, variables: list) -> list[tf.Tensor]:
        """Gradients of one batch; its loss and metrics are counted."""
        images, labels, weights = batch
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = self.compute_loss(images, labels, outputs, weights, training=True)
            scaled = self.optimizer.scale_loss(loss)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        (mean_loss,) = (metric for metric in self.metrics if metric.name == "loss")
        mean_loss.update_state(loss * replicas, sample_weight=tf.shape(images)[0])
        self.compute_metrics(images, labels, outputs, weights)
        zero = tf.UnconnectedGradients.ZERO
        return [tf.convert_to_tensor(g) for g in tape.gradient(scaled, variables, unconnected_gradients=zero)]


def _check_rows(images: tf.Tensor, shape: tf.TensorShape) -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    message = (
        f"a batch does not split into equal numbers of target and source images on {replicas} replicas; take a multiple "
        f"of {2 * replicas} as its size"
    )
    if replicas == 1:
        return
    if shape.rank is None or (shape[0] is not None and shape[0] % 2):  # parts of different sizes have no common shape
        raise InputError(message)
    if shape[0] is None:  # as with several workers
        tf.debugging.assert_equal(tf.shape(images)[0] % 2, 0, message)
