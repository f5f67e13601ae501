"""Steps of training by a loop of our own, for one device, several, or several workers.

Keras' `fit` has no way to stop after a step and go on from it, and fails where there are several workers. This is its
inside alone: the model's own `train_step` on every replica.
"""

from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from sjft_tf.training.pipeline import Shard

Step = Callable[[Iterator], None]


def step_function(model: keras.Model, *, jit_compile: bool = False) -> Step:
    """A function of an iterator that takes one batch from it and makes one update, on every replica.

    It is traced once and serves all rounds. The running means of the metrics are `model.get_metrics_result()`.

    Args:
        model: a compiled model, and the strategy in whose scope it was built.
        jit_compile: compile the step by XLA.
    """
    strategy = model.distribute_strategy
    with strategy.scope():
        _make_variables(model)
    train_step = tf.function(model.train_step, jit_compile=True) if jit_compile else model.train_step

    def replica_step(batch: tuple) -> None:
        train_step(batch)

    @tf.function(reduce_retracing=True)
    def step(iterator: Iterator) -> None:
        strategy.run(replica_step, args=(next(iterator),))

    return step


def _make_variables(model: keras.Model) -> None:
    """Optimizer and metrics make theirs when first used, which inside a step on several replicas fails."""
    model.optimizer.build(model.trainable_variables)
    logits = {head: tf.zeros((1, *output.shape[1:])) for head, output in model.output.items()}
    labels = {head: tf.zeros(1, tf.int32) for head in logits}
    weights = {head: tf.ones(1) for head in logits}
    model.compute_loss(None, labels, logits, weights)
    model.compute_metrics(None, labels, logits, weights)
    model.reset_metrics()


def replica_batches(strategy: tf.distribute.Strategy, shard: Callable[[Shard], tf.data.Dataset]) -> Iterator:
    """An iterator over a round's batches, each replica its share of the rows.

    Args:
        strategy: the model's.
        shard: makes the dataset of one worker's share, a batch for each of its replicas in turn.
    """

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = context.num_replicas_in_sync // context.num_input_pipelines
        return shard(Shard(context.input_pipeline_id, context.num_input_pipelines, here))

    return iter(strategy.distribute_datasets_from_function(of_worker))
