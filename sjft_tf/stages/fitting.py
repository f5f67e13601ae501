"""What a run trains with, as its experiment has it: selection, optimizer, data, and the fit itself."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.config import Experiment
from sjft_tf.errors import InputError
from sjft_tf.preemption import noting
from sjft_tf.progress import watching
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.training import (
    Checkpoint,
    JointModel,
    Preemption,
    Shard,
    TrainingProgress,
    caffe_sgd,
    devices,
    fit_workers,
    joint_dataset,
    learning_rate_schedule,
)
from sjft_tf.workspace import Workspace


def make_selection(workspace: Workspace, neighbors: NeighborTable | None) -> Selection:
    """The selection of the run in its first round."""
    s, source = workspace.experiment.selection, workspace.source
    n_source, labels = (len(source), source.labels) if source is not None else (None, None)
    return Selection(
        neighbors, k0=s.k0, sigma0=s.sigma0, sigma1=s.sigma1, delta=s.delta, mode=s.mode, k=s.k, n_source=n_source,
        seed=workspace.experiment.seed, level_cap=s.level_cap, min_per_class=s.min_per_class, source_labels=labels,
    )  # fmt: skip


def compile_model(experiment: Experiment, model: keras.Model, *, jit_compile: bool) -> None:
    """Give the model the experiment's optimizer; losses and metrics are its own."""
    t = experiment.training
    span = t.steps_per_round * (1 if t.restart else experiment.selection.rounds)
    optimizer = caffe_sgd(
        learning_rate_schedule(t.schedule, t.learning_rate, span, lr_step=t.lr_step),
        momentum=t.momentum, weight_decay=t.weight_decay, decay_head_biases=t.decay_head_biases,
        decay_bn=t.decay_bn, trunk_learning_rate=t.trunk_learning_rate,
        head_bias_learning_rate=t.head_bias_learning_rate,
        **({} if t.ema_momentum is None else {"use_ema": True, "ema_momentum": t.ema_momentum}),
    )  # fmt: skip
    model.compile(optimizer, jit_compile=jit_compile)


def fit(
    model: JointModel,
    data: Callable[..., tf.data.Dataset],
    checkpoint: Checkpoint,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    plain: keras.Model,
    epochs: int,
    steps: int,
    what: str,
) -> None:
    """Train by Keras' `fit`, or with several workers by `fit_workers`; can be watched, and asked to stop.

    Args:
        model, plain, epochs, steps: as of `fit_workers`.
        data: makes the dataset, or a worker's share of it.
        checkpoint: comes after the `callbacks`.
        what: name for the progress.
    """
    callbacks = [*callbacks, checkpoint]
    with watching(what, "steps") as progress, noting() as asked:
        if progress is not None:
            callbacks.append(TrainingProgress(progress, checkpoint))
        if devices.in_cluster():
            with devices.needing_all():
                fit_workers(model, data, epochs=epochs, steps=steps, plain=plain, callbacks=callbacks)
        else:  # a checkpoint of several workers takes all of them, and only one is asked to stop
            callbacks.append(Preemption(asked, checkpoint))
            model.fit(data(), epochs=epochs, callbacks=callbacks, verbose=0)


def check_agreement(workspace: Workspace, begin: Checkpoint) -> None:
    """Raise InputError unless this worker begins where the chief does."""
    mine = np.array([begin.round, begin.step])
    if not np.array_equal(devices.from_chief(mine), mine):
        raise InputError(
            f"this worker finds {workspace.folder.path} in round {begin.round + 1}, step {begin.step}, and the chief does "
            "not; all workers must see the same run folder"
        )


def round_data(
    workspace: Workspace,
    model: JointModel,
    selection: Selection,
    shard: Shard | None = None,
    *,
    experiment: Experiment | None = None,
) -> tf.data.Dataset:
    """The rounds of a training of the model, as the run's experiment wants them, or the one that is given."""
    e = experiment or workspace.experiment
    t, a = e.training, e.augmentation
    return joint_dataset(
        workspace.target, workspace.source, selection,
        steps=t.steps_per_round, batch_size=t.batch_size, iter_size=t.iter_size, image_size=e.image_size,
        terms=model.terms, seed=e.seed, geometry=a.geometry, color=a.color, pca_noise=a.pca_noise,
        target_sampling=t.target_sampling, max_per_class=t.max_per_class, shard=shard,
    )  # fmt: skip
