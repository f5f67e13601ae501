"""The stage `train`: rounds of joint fine-tuning, each from the weights of the one before."""

import functools
import logging
import pathlib
import time

import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.diagnostics import Setting, warnings
from sjft_tf.domains import image_batches
from sjft_tf.errors import InputError
from sjft_tf.evaluation import accuracy, mean_class_accuracy
from sjft_tf.images import center_view
from sjft_tf.inference import predict
from sjft_tf.models import recalibrate_batch_normalization
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.stages.descriptors import search
from sjft_tf.stages.fitting import Fitting, diverged
from sjft_tf.stages.progress_page import report_progress
from sjft_tf.stages.run import Run
from sjft_tf.training import Position, RoundEnd, devices, end_round

ROUND = {"counts": np.int32, "entropies": np.float32, "correct": np.bool_, "weights": np.str_}
logger = logging.getLogger(__name__)


def train(run: Run) -> list[dict]:
    """Train the rounds that are not complete yet; the history of all of them comes back."""
    neighbors = search(run) if run.needs_neighbors else None
    devices.meet()
    rounds = run.experiment.selection.rounds
    completed = completed_rounds(run)
    history = run.folder.read_history()[: len(completed)]
    if len(completed) < rounds:
        history = _train_rounds(run, neighbors, completed)
    if devices.is_chief() and not run.folder.is_recorded("train", run.training_hash):
        run.folder.record_stage("train", run.training_hash, sum(entry["seconds"] for entry in history))
    return history


def make_selection(run: Run, neighbors: NeighborTable | None) -> Selection:
    """The selection of the run in its first round."""
    s = run.experiment.selection
    return Selection(
        neighbors, k0=s.k0, sigma0=s.sigma0, sigma1=s.sigma1, delta=s.delta, mode=s.mode,
        n_source=len(run.source) if run.source is not None else None, seed=run.experiment.seed,
        level_cap=s.level_cap, min_per_class=s.min_per_class,
        source_labels=run.source.labels if run.source is not None else None,
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


def _train_rounds(run: Run, neighbors: NeighborTable | None, completed: list[dict]) -> list[dict]:
    selection, fitting = make_selection(run, neighbors), Fitting(run)
    for arrays in completed:
        selection.advance(arrays["entropies"], arrays["correct"])
    begin = fitting.load_checkpoint(selection, len(completed)) or Position(len(completed))
    _check_agreement(run, begin)
    if begin.round or begin.step:
        logger.info("train: going on after step %d of round %d", begin.step, begin.round + 1)
    if begin.round and not begin.step:
        run.model.load_weights(run.folder.weights(begin.round - 1))
        fitting.load_weights()
    history, completed = run.folder.read_history()[: begin.round], list(completed)
    setting = setting_of(run, neighbors.depth if neighbors is not None else None)
    for number in range(begin.round, run.experiment.selection.rounds):
        counts = _counts(run, selection)
        entry, end = _train_round(run, fitting, selection, begin)
        completed.append({"counts": counts, "entropies": end.entropies, "correct": end.correct})
        history.append(entry)
        entry["warnings"] = _warnings(
            history, setting, [*(arrays["counts"] for arrays in completed), _counts(run, selection)]
        )
        if devices.is_chief():
            _complete_round(run, history, completed[-1])
            if number + 1 < setting.rounds:
                report_progress(run, completed)
        begin = Position(number + 1)
    if devices.is_chief():
        run.folder.checkpoint.unlink(missing_ok=True)
    return history


def _warnings(history: list[dict], setting: Setting, counts: list[np.ndarray]) -> list[str]:
    if setting.rounds == len(history):
        counts = counts[:-1]  # there is no next round
    found = warnings(history, setting, counts if setting.max_k is not None else ())
    for sentence in found:
        logger.warning("notice: %s", sentence)
    return found


def _check_agreement(run: Run, begin: Position) -> None:
    mine = np.array([begin.round, begin.step])
    if not np.array_equal(devices.from_chief(mine), mine):
        raise InputError(
            f"this worker finds {run.folder.path} in round {begin.round + 1}, step {begin.step}, and the chief does not; "
            "all workers must see the same run folder"
        )


def _train_round(run: Run, fitting: Fitting, selection: Selection, begin: Position) -> tuple[dict, RoundEnd]:
    """Train one round and end it; its entry in the history comes back, and what the model made of the target images."""
    e, number = run.experiment, selection.round
    start = time.monotonic() - (begin.notes or {}).get("seconds", 0)
    counts, reachable = _counts(run, selection), selection.reachable
    drawn = f"{reachable} source images in reach" if run.source is not None else "target images alone"
    logger.info("train: round %d of %d, %s", number + 1, e.selection.rounds, drawn)
    if begin.step == 0:
        fitting.start_round(number)
    curves = fitting.round(selection, begin)
    fitting.hand_over_weights()
    if e.model.bn == "recalibrate":
        views = image_batches(
            run.target, lambda image: center_view(image, e.image_size), batch_size=e.evaluation.batch_size
        )  # fmt: skip
        recalibrate_batch_normalization(run.model, views)
        fitting.load_weights()
    gradients = fitting.gradients(selection)
    end = end_round(run.model, selection, run.target, batch_size=e.evaluation.batch_size)
    if not np.isfinite(end.entropies).all():
        raise InputError(
            diverged(number, e.training.learning_rate, "the model answers with numbers that are not finite")
        )
    entry = {
        "round": number,
        "k_min": int(counts.min()), "k_mean": float(counts.mean()), "k_max": int(counts.max()),
        "reachable": reachable,
        "n_wrong": end.outcome.n_wrong, "n_uncertain": end.outcome.n_uncertain, "n_settled": end.outcome.n_settled,
        **curves.means(),
        **_validation(run),
        "gradients": gradients,
        "loss_curve": curves.curve(),
        "seconds": round(time.monotonic() - start, 2),
    }  # fmt: skip
    _log_round(entry, e.selection.rounds)
    return entry, end


def _complete_round(run: Run, history: list[dict], arrays: dict[str, np.ndarray]) -> None:
    """Save a round's weights, the history, and last the record that makes it complete."""
    number = len(history) - 1
    with files.replacing_path(run.folder.weights(number)) as path:
        run.model.save_weights(path)
    _write_summaries(run, history[-1])
    # The history has the round before the record says that it is complete; `train` cuts what is left over.
    run.folder.write_history(history)
    digest = np.array(files.digest_of_file(run.folder.weights(number)))
    run.folder.save(run.folder.selection(number), run.training_hash, **arrays, weights=digest)


def _counts(run: Run, selection: Selection) -> np.ndarray:
    if selection.counts is not None:
        return selection.counts
    return np.full(len(run.target), selection.reachable, np.int32)


def _validation(run: Run) -> dict[str, float | None]:
    if run.validation is None:
        return {"val_mean_class_accuracy": None, "val_accuracy": None}
    probabilities = predict(run.model, run.validation, batch_size=run.experiment.evaluation.batch_size)
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


def _log_round(entry: dict, rounds: int) -> None:
    validation, source_loss = entry["val_mean_class_accuracy"], entry["source_loss"]
    logger.info(
        "train: round %d of %d took %.0f s: target loss %.3f%s; %d target images wrong, %d uncertain, %d settled%s",
        entry["round"] + 1, rounds, entry["seconds"], entry["target_loss"],
        "" if source_loss is None else f", source loss {source_loss:.3f}",
        entry["n_wrong"], entry["n_uncertain"], entry["n_settled"],
        "" if validation is None else f"; validation mean class accuracy {validation:.1%}",
    )  # fmt: skip


def setting_of(run: Run, max_k: int | None) -> Setting:
    """The setting of a run; `max_k` is the width of its neighbor table."""
    s, source = run.experiment.selection, run.source
    return Setting(
        mode=s.mode, rounds=s.rounds, k0=s.k0, sigma0=s.sigma0, level_cap=s.level_cap, max_k=max_k,
        n_target=len(run.target), n_target_classes=len(run.target.class_names),
        n_validation=len(run.validation) if run.validation is not None else 0,
        n_source=len(source) if source is not None else 0,
        n_source_classes=len(source.class_names) if source is not None else 0,
    )  # fmt: skip
