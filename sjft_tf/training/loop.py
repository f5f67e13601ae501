"""A `fit` for several workers, where Keras' own fails: the model's own `train_step` and the same callbacks.

Keras 3's `fit` converts a value under `MultiWorkerMirroredStrategy` that is still one per replica. On one process, with one
device or several, use `model.fit`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.training.callbacks.checkpoint import first_epoch
from sjft_tf.training.checkpoint import build_variables
from sjft_tf.training.dataset import Shard


def fit_workers(
    model: keras.Model,
    data: Callable[[Shard], tf.data.Dataset],
    *,
    epochs: int,
    steps: int,
    plain: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Train as `model.fit` does; every worker must call this.

    Callbacks get no logs after a step: reading metrics takes all workers.

    Args:
        model: compiled, built in the scope of the strategy.
        data: makes the dataset of one worker's share, a batch for each of its replicas in turn: `joint_dataset(shard=...)`.
        epochs: the last one.
        steps: updates of an epoch.
        plain: the same model, built outside of the scope, which callbacks predict with and save.
        callbacks: as for `fit`; a `Checkpoint` among them decides the epoch to begin with.
    """
    calls = keras.callbacks.CallbackList(
        list(callbacks), add_history=True, model=model, epochs=epochs, steps=steps, verbose=0, plain=plain
    )  # fmt: skip
    step = step_function(model)
    model.stop_training = False
    calls.on_train_begin()
    for epoch in range(first_epoch(callbacks, otherwise=0), epochs):
        with model.distribute_strategy.scope():
            model.reset_metrics()
            calls.on_epoch_begin(epoch)
            batches = replica_batches(model.distribute_strategy, data)
            for batch in range(steps):
                calls.on_train_batch_begin(batch)
                step(batches)
                calls.on_train_batch_end(batch)
                if model.stop_training:
                    break
            logs: dict[str, Any] = dict(model.get_metrics_result())
        calls.on_epoch_end(epoch, logs)  # outside of the scope, where the plain model can predict
        if model.stop_training:
            break
    calls.on_train_end()
    return model.history


def step_function(model: keras.Model) -> Callable[[Iterator], None]:
    """A function of an iterator that takes one batch from it and makes one update, on every replica.

    It is traced once and serves all rounds; by XLA, if the model is compiled so. The running means of the metrics are
    `model.get_metrics_result()`.

    Args:
        model: compiled; updated under the strategy in whose scope it was built.
    """
    strategy = model.distribute_strategy
    build_variables(model)
    train_step = tf.function(model.train_step, jit_compile=True) if model.jit_compile else model.train_step

    def replica_step(batch: tuple) -> None:
        train_step(batch)

    @tf.function(reduce_retracing=True)
    def step(iterator: Iterator) -> None:
        strategy.run(replica_step, args=(next(iterator),))

    return step


def replica_batches(strategy: tf.distribute.Strategy, data: Callable[[Shard], tf.data.Dataset]) -> Iterator:
    """An iterator over a round's batches, each replica of the model's strategy its share of the rows; `data` as above."""

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = context.num_replicas_in_sync // context.num_input_pipelines
        return data(Shard(context.input_pipeline_id, context.num_input_pipelines, here))

    return iter(strategy.distribute_datasets_from_function(of_worker))
