"""The steps of a round: the compiled model on its devices, its data, and the checkpoint that a killed run goes on from."""

import contextlib
import logging
import time
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.config import Experiment
from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.preemption import Asked, noting
from sjft_tf.selection import Selection
from sjft_tf.stages.curves import LossCurves
from sjft_tf.stages.model import jit_compile, precision
from sjft_tf.stages.run import Run
from sjft_tf.stages.watching import watching
from sjft_tf.training import (
    Position,
    Shard,
    devices,
    gradient_conflict,
    joint_dataset,
    joint_loss,
    joint_metrics,
    joint_sgd,
    learning_rate_schedule,
    load_checkpoint,
    replica_batches,
    save_checkpoint,
    step_function,
    training_state,
)

logger = logging.getLogger(__name__)


class Fitting:
    """The model of a run in training.

    Attributes:
        model: compiled, on the run's devices. With several workers it is the run's own model on all of them, and
            `run.model` a plain copy to look at target images with.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.strategy = run, devices.strategy()
        t = run.experiment.training
        compiled = jit_compile(t, self.strategy)
        self.model = run.build_model(self.strategy) if devices.in_cluster() else run.model
        with self.strategy.scope():
            compile_model(run.experiment, self.model)
        if self.model is not run.model:
            compile_model(run.experiment, run.model)
        self.step = step_function(self.model, jit_compile=compiled)
        self.target, self.source = run.target, run.source
        logger.info(
            "train: %s, %s, %d replica%s, %d images an update", precision(t),
            "compiled by XLA" if compiled else "not compiled by XLA", self.strategy.num_replicas_in_sync,
            "s" * (self.strategy.num_replicas_in_sync > 1),
            t.batch_size * t.iter_size // (1 if self.source is not None else 2),
        )  # fmt: skip

    def load_checkpoint(self, selection: Selection, number: int) -> Position | None:
        """Go back to where round `number` was interrupted; None if there is nothing to go on from."""
        path, made_from = self.run.folder.checkpoint, self.run.training_hash
        with self.strategy.scope():
            return load_checkpoint(path, self.model, selection, made_from=made_from, round=number)

    def load_weights(self) -> None:
        """Take over the weights of `run.model`, where that is another model."""
        if self.model is not self.run.model:
            self.model.set_weights(self.run.model.get_weights())

    def hand_over_weights(self) -> None:
        """Give them back."""
        if self.model is not self.run.model:
            self.run.model.set_weights(self.model.get_weights())

    def start_round(self, number: int) -> None:
        """A new solver on the old weights."""
        t = self.run.experiment.training
        with self.strategy.scope():
            start_afresh(self.model, 0 if t.restart else number * t.steps_per_round, (self.run.experiment.seed, number))

    def round(self, selection: Selection, begin: Position) -> LossCurves:
        """Make the steps of the selection's round, from `begin` on.

        Raises:
            InputError: the loss is no finite number any more.
            Preempted, KeyboardInterrupt: the process was asked to stop; the steps until then are in the checkpoint.
        """
        e, t, notes = self.run.experiment, self.run.experiment.training, begin.notes or {}
        start = time.monotonic() - notes.get("seconds", 0)
        curves = LossCurves(t.steps_per_round, notes.get("curves"))
        if begin.step == t.steps_per_round:  # it was asked to stop after the last step
            return curves
        batches = replica_batches(self.strategy, lambda shard: self.dataset(selection, begin.step, shard))
        title = f"round {selection.round + 1} of {e.selection.rounds}"
        with watching(title, "steps") as progress, self._stopping() as asked, self._together():
            for done in range(begin.step + 1, t.steps_per_round + 1):
                self.step(batches)
                is_due = done % t.checkpoint_every == 0 and done < t.steps_per_round
                if curves.is_due(done) or is_due or asked:
                    curves.note(done, self._means())
                    _check_finite(curves, selection.round, t.learning_rate)
                    if progress is not None:
                        progress(done, t.steps_per_round)
                if is_due or asked:
                    notes = {"seconds": time.monotonic() - start, "curves": curves.noted}
                    self._save(selection, Position(selection.round, done, notes))
                    asked.raise_if()
        return curves

    def gradients(self, selection: Selection) -> dict[str, float] | None:
        """How the two losses pull at the trunk, on the first batch of the round; None without a source or an answer."""
        if self.source is None:
            return None
        (batch,) = self.dataset(selection).take(1)
        found = gradient_conflict(self.run.model, batch)
        if not np.isfinite(found).all():
            return None
        return {"target": found.target_norm, "source": found.source_norm, "cosine": found.cosine}

    def dataset(self, selection: Selection, first_step: int = 0, shard: Shard | None = None) -> tf.data.Dataset:
        """The batches of the selection's round."""
        return round_data(self.run.experiment, self.target, self.source, selection, first_step, shard)

    def _means(self) -> dict:
        means = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return means

    def _save(self, selection: Selection, position: Position) -> None:
        state = training_state(self.model, selection)  # all workers must read, one writes
        if devices.is_chief():
            save_checkpoint(self.run.folder.checkpoint, state, position, made_from=self.run.training_hash)

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        with self.strategy.scope(), devices.needing_all():
            yield

    @staticmethod
    def _stopping() -> contextlib.AbstractContextManager[Asked]:
        # a checkpoint of several workers takes all of them, and only one was asked
        return contextlib.nullcontext(Asked()) if devices.in_cluster() else noting()


def start_afresh(model: keras.Model, step: int, seed: tuple[int, int]) -> None:
    """Momentum 0, and the learning rate of step `step`: each round is a new solver on the old weights (spec 6.3).

    What layers such as dropout draw begins anew, too, so that a round depends on nothing but `seed` and the weights.
    """
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    for variable in optimizer.variables:
        if variable is not optimizer.learning_rate:
            variable.assign(keras.ops.zeros_like(variable))
    optimizer.iterations.assign(step)
    states = (variable for variable in model.non_trainable_variables if variable.name == "seed_generator_state")
    for position, state in enumerate(states):
        state.assign(np.random.SeedSequence((*seed, position)).generate_state(state.shape[0]))


def compile_model(experiment: Experiment, model: keras.Model) -> None:
    """Give the model the experiment's optimizer, losses and metrics."""
    t, heads = experiment.training, tuple(model.output_names)
    span = t.steps_per_round * (1 if t.restart else experiment.selection.rounds)
    model.compile(
        optimizer=joint_sgd(
            learning_rate_schedule(t.schedule, t.learning_rate, span, lr_step=t.lr_step),
            momentum=t.momentum, weight_decay=t.weight_decay, decay_head_biases=t.decay_head_biases,
            decay_bn=t.decay_bn, head_learning_rate=t.head_learning_rate,
            head_bias_learning_rate=t.head_bias_learning_rate,
        ),
        loss=joint_loss(heads),
        loss_weights={head: t.source_loss_weight if head == "source" else 1.0 for head in heads},
        weighted_metrics=joint_metrics(heads),
        jit_compile=False,  # `step_function` compiles
    )  # fmt: skip


def round_data(
    experiment: Experiment,
    target: Domain,
    source: Domain | None,
    selection: Selection,
    first_step: int = 0,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """The batches of the selection's round as the experiment wants them."""
    t, a = experiment.training, experiment.augmentation
    return joint_dataset(
        target, source, selection,
        batch_size=t.batch_size, iter_size=t.iter_size, image_size=experiment.image_size,
        steps=t.steps_per_round, first_step=first_step, seed=experiment.seed,
        geometry=a.geometry, color=a.color, pca_noise=a.pca_noise,
        target_sampling=t.target_sampling, max_per_class=t.max_per_class, shard=shard,
    )  # fmt: skip


def _check_finite(curves: LossCurves, number: int, learning_rate: float) -> None:
    done, means = curves.noted[-1]
    if not np.isfinite(list(means.values())).all():
        raise InputError(diverged(number, learning_rate, f"the loss is no finite number by step {done}"))


def diverged(number: int, learning_rate: float, sign: str) -> str:
    """What to say of a training that diverged."""
    return f"training diverged in round {number + 1}: {sign}; training.learning_rate is {learning_rate:g}, take a lower one"
