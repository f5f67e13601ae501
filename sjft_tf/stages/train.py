"""The stage `train`: rounds of joint fine-tuning, each from the weights of the one before."""

import functools
import logging
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.evaluation import accuracy, mean_class_accuracy
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.stages.curves import LossCurves
from sjft_tf.stages.descriptors import search
from sjft_tf.stages.run import Run
from sjft_tf.stages.watching import watching
from sjft_tf.training import (
    NeighborExpansion,
    joint_dataset,
    joint_loss,
    joint_metrics,
    joint_sgd,
    learning_rate_schedule,
    predict,
)

ROUND = {"counts": np.int32, "entropies": np.float32, "correct": np.bool_, "weights": np.str_}
logger = logging.getLogger(__name__)


def train(run: Run) -> list[dict]:
    """Train the rounds that are not complete yet; the history of all of them comes back."""
    neighbors = search(run) if run.needs_neighbors else None
    rounds = run.experiment.selection.rounds
    completed = completed_rounds(run)
    history = run.folder.read_history()[: len(completed)]
    if len(completed) < rounds:
        selection = make_selection(run, neighbors)
        for arrays in completed:
            selection.advance(arrays["entropies"], arrays["correct"])
        if completed:
            logger.info("train: going on after round %d of %d", len(completed), rounds)
            run.model.load_weights(run.folder.weights(len(completed) - 1))
        # Outside of it the optimizer's variables would not be replicas of one another.
        with run.model.distribute_strategy.scope():
            _compile(run)
            history += [_train_round(run, selection) for _ in range(len(completed), rounds)]
    if not run.folder.is_recorded("train", run.training_hash):
        run.folder.record_stage("train", run.training_hash, sum(entry["seconds"] for entry in history))
    return history


def make_selection(run: Run, neighbors: NeighborTable | None) -> Selection:
    """The selection of the run in its first round."""
    s = run.experiment.selection
    return Selection(
        neighbors, k0=s.k0, sigma0=s.sigma0, sigma1=s.sigma1, delta=s.delta, mode=s.mode,
        n_source=len(run.source) if run.source is not None else None, seed=run.experiment.seed,
    )  # fmt: skip


def completed_rounds(run: Run) -> list[dict[str, np.ndarray]]:
    """K, entropies and correctness of the rounds that are complete, in order."""
    completed: list[dict[str, np.ndarray]] = []
    for number in range(run.experiment.selection.rounds):
        arrays = run.folder.load(run.folder.selection(number), run.training_hash, ROUND)
        if arrays is None or not _is_whole(run.folder.weights(number), str(arrays["weights"])):
            break
        completed.append(arrays)
    return completed[: len(run.folder.read_history())]


def _is_whole(weights: pathlib.Path, digest: str) -> bool:
    if not weights.exists():
        logger.warning("%s is missing; it is made again", weights)
        return False
    state = weights.stat()
    whole = _digest_of_state(weights, state.st_size, state.st_mtime_ns) == digest
    if not whole:
        logger.warning("%s is damaged; it is made again", weights)
    return whole


@functools.lru_cache(maxsize=256)
def _digest_of_state(path: pathlib.Path, size: int, changed_ns: int) -> str:
    """The file's digest, read once while it does not change: every later stage asks whether training is complete."""
    return files.digest_of_file(path)


def _compile(run: Run) -> None:
    t = run.experiment.training
    span = t.steps_per_round * (1 if t.restart else run.experiment.selection.rounds)
    schedule = learning_rate_schedule(t.schedule, t.learning_rate, span)
    heads = tuple(run.model.output_names)
    run.model.compile(
        optimizer=joint_sgd(schedule, momentum=t.momentum, weight_decay=t.weight_decay),
        loss=joint_loss(heads),
        weighted_metrics=joint_metrics(heads),
        # Compiling with XLA made a step on a CPU up to seven times slower.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )


def _train_round(run: Run, selection: Selection) -> dict:
    """Train one round, save its weights, and then the record that makes it complete."""
    start, e, model, number = time.monotonic(), run.experiment, run.model, selection.round
    t, counts, reachable = e.training, _counts(run, selection), selection.reachable
    drawn = f"{reachable} source images in reach" if run.source is not None else "target images alone"
    logger.info("train: round %d of %d, %s", number + 1, e.selection.rounds, drawn)
    _start_afresh(model, 0 if t.restart else number * t.steps_per_round, (e.seed, number))
    data = joint_dataset(
        run.target, run.source, selection,
        batch_size=t.batch_size, image_size=e.image_size, steps=t.steps_per_round, seed=e.seed,
    )  # fmt: skip
    with watching(f"round {number + 1} of {e.selection.rounds}", "steps") as progress:
        curves = LossCurves(t.steps_per_round, progress)
        expansion = NeighborExpansion(selection, run.target, batch_size=e.evaluation.batch_size)
        logs = model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[curves, expansion]).history
    if expansion.entropies is None or not np.isfinite(expansion.entropies).all():
        raise InputError(
            f"training diverged in round {number + 1}: the model answers with numbers that are not finite; "
            f"training.learning_rate is {t.learning_rate:g}, take a lower one"
        )
    entry = {
        "round": number,
        "k_min": int(counts.min()), "k_mean": float(counts.mean()), "k_max": int(counts.max()),
        "reachable": reachable,
        "n_wrong": logs["wrong"][0], "n_uncertain": logs["uncertain"][0], "n_settled": logs["settled"][0],
        **curves.means(),
        **_validation(run, model),
        "loss_curve": curves.curve(),
        "seconds": _seconds_since(start),
    }  # fmt: skip
    with files.replacing_path(run.folder.weights(number)) as path:
        model.save_weights(path)
    _log_round(entry, e.selection.rounds)
    _write_summaries(run, entry)
    # The history has the round before the record says that it is complete; `train` cuts what is left over.
    run.folder.write_history([*run.folder.read_history()[:number], entry])
    run.folder.save(
        run.folder.selection(number), run.training_hash,
        counts=counts, entropies=expansion.entropies, correct=expansion.correct,
        weights=np.array(files.digest_of_file(run.folder.weights(number))),
    )  # fmt: skip
    return entry


def _start_afresh(model: keras.Model, step: int, seed: tuple[int, int]) -> None:
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


def _counts(run: Run, selection: Selection) -> np.ndarray:
    if selection.counts is not None:
        return selection.counts
    return np.full(len(run.target), selection.reachable, np.int32)


def _validation(run: Run, model: keras.Model) -> dict[str, float | None]:
    if run.validation is None:
        return {"val_mean_class_accuracy": None, "val_accuracy": None}
    probabilities = predict(model, run.validation, batch_size=run.experiment.evaluation.batch_size)
    labels, predictions = run.validation.labels, probabilities.argmax(axis=-1)
    return {
        "val_mean_class_accuracy": mean_class_accuracy(labels, predictions, len(run.target.class_names)),
        "val_accuracy": accuracy(labels, predictions),
    }


def _write_summaries(run: Run, entry: dict) -> None:
    """What TensorBoard shows of a round."""
    with tf.summary.create_file_writer(str(run.folder.tensorboard)).as_default(step=entry["round"]):
        for name, value in entry.items():
            if isinstance(value, int | float):
                tf.summary.scalar(name, value)


def _seconds_since(start: float) -> float:
    return round(time.monotonic() - start, 2)


def _log_round(entry: dict, rounds: int) -> None:
    validation = entry["val_mean_class_accuracy"]
    logger.info(
        "train: round %d of %d took %.0f s: target loss %.3f%s%s",
        entry["round"] + 1, rounds, entry["seconds"], entry["target_loss"],
        "" if entry["source_loss"] is None else f", source loss {entry['source_loss']:.3f}",
        "" if validation is None else f"; validation mean class accuracy {validation:.1%}",
    )  # fmt: skip
