"""The stage `train`: rounds of joint fine-tuning, each from the weights of the one before."""

import logging
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.config import settings_for_hash
from sjft_tf.diagnostics import Setting, warnings
from sjft_tf.domains import image_batches
from sjft_tf.errors import InputError
from sjft_tf.evaluation import accuracy, mean_class_accuracy
from sjft_tf.images import center_view
from sjft_tf.inference import predict
from sjft_tf.models import recalibrate_batch_normalization
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection
from sjft_tf.stages.fitting import Fitting, diverged
from sjft_tf.stages.values import Neighbors
from sjft_tf.training import Position, RoundEnd, devices, end_round
from sjft_tf.workspace import Rounds, Workspace, completed_rounds, save_round

AfterRound = Callable[[Rounds], None]
logger = logging.getLogger(__name__)


def train(workspace: Workspace, neighbors: Neighbors | None, after_round: AfterRound | None = None) -> Rounds:
    """Train the rounds that are not complete yet; all of them come back.

    Args:
        workspace: the run's.
        neighbors: the table that source images are drawn by; None in the modes without.
        after_round: told of the rounds until then after each round but the last.
    """
    made_from = _made_from(workspace, neighbors)
    devices.meet()
    n_rounds = workspace.experiment.selection.rounds
    rounds = completed_rounds(workspace.folder, made_from, n_rounds)
    if len(rounds.arrays) < n_rounds:
        _train_rounds(workspace, neighbors, rounds, after_round)
    if devices.is_chief() and not workspace.folder.is_recorded("train", made_from):
        seconds = sum(entry["seconds"] for entry in rounds.history)
        workspace.folder.record_stage("train", made_from, seconds)
    return rounds


def _made_from(workspace: Workspace, neighbors: Neighbors | None) -> str:
    """What the weights of every round are made from."""
    e, source = workspace.experiment, workspace.source
    training = settings_for_hash(e.training)
    training.pop("checkpoint_every", None)  # how often it is saved changes no weight
    settings = {
        "selection": settings_for_hash(e.selection),
        "model": settings_for_hash(e.model),
        "augmentation": settings_for_hash(e.augmentation),
        "training": training,
        "seed": e.seed,
        "image_size": e.image_size,
    }
    weights = e.model.weights
    content = "" if weights in (None, "imagenet") else files.digest_of_file(str(weights))
    domains = [workspace.target.fingerprint(), source.fingerprint() if source is not None else ""]
    return files.digest("weights 3", settings, content, domains, neighbors.made_from if neighbors is not None else "")


def make_selection(workspace: Workspace, neighbors: NeighborTable | None) -> Selection:
    """The selection of the run in its first round."""
    s = workspace.experiment.selection
    return Selection(
        neighbors, k0=s.k0, sigma0=s.sigma0, sigma1=s.sigma1, delta=s.delta, mode=s.mode,
        n_source=len(workspace.source) if workspace.source is not None else None, seed=workspace.experiment.seed,
        level_cap=s.level_cap, min_per_class=s.min_per_class,
        source_labels=workspace.source.labels if workspace.source is not None else None,
    )  # fmt: skip


def _train_rounds(
    workspace: Workspace, neighbors: Neighbors | None, rounds: Rounds, after_round: AfterRound | None
) -> None:
    """Train on from the rounds that are complete; each that becomes so is added to them."""
    table = neighbors.table if neighbors is not None else None
    selection, fitting = make_selection(workspace, table), Fitting(workspace, rounds.made_from)
    for arrays in rounds.arrays:
        selection.advance(arrays["entropies"], arrays["correct"])
    begin = fitting.load_checkpoint(selection, len(rounds.arrays)) or Position(len(rounds.arrays))
    _check_agreement(workspace, begin)
    if begin.round or begin.step:
        logger.info("train: resuming after step %d of round %d", begin.step, begin.round + 1)
    if begin.round and not begin.step:
        fitting.plain.load_weights(workspace.folder.weights(begin.round - 1))
        fitting.load_weights()
    setting = setting_of(workspace, table.depth if table is not None else None)
    for number in range(begin.round, workspace.experiment.selection.rounds):
        counts = _counts(workspace, selection)
        entry, end = _train_round(workspace, fitting, selection, begin)
        rounds.arrays.append({"counts": counts, "entropies": end.entropies, "correct": end.correct})
        rounds.history.append(entry)
        entry["warnings"] = _warnings(
            rounds.history, setting, [*(arrays["counts"] for arrays in rounds.arrays), _counts(workspace, selection)]
        )
        if devices.is_chief():
            with files.replacing_path(workspace.folder.weights(number)) as path:
                fitting.plain.save_weights(path)
            _write_summaries(workspace, entry)
            save_round(workspace.folder, rounds)
            if after_round is not None and number + 1 < setting.rounds:
                after_round(rounds)
        begin = Position(number + 1)
    if devices.is_chief():
        workspace.folder.checkpoint.unlink(missing_ok=True)


def _warnings(history: list[dict], setting: Setting, counts: list[np.ndarray]) -> list[str]:
    if setting.rounds == len(history):
        counts = counts[:-1]  # there is no next round
    found = warnings(history, setting, counts if setting.max_k is not None else ())
    for sentence in found:
        logger.warning("notice: %s", sentence)
    return found


def _check_agreement(workspace: Workspace, begin: Position) -> None:
    mine = np.array([begin.round, begin.step])
    if not np.array_equal(devices.from_chief(mine), mine):
        raise InputError(
            f"this worker finds {workspace.folder.path} in round {begin.round + 1}, step {begin.step}, and the chief does "
            "not; all workers must see the same run folder"
        )


def _train_round(
    workspace: Workspace, fitting: Fitting, selection: Selection, begin: Position
) -> tuple[dict, RoundEnd]:
    """Train one round and end it; its entry in the history comes back, and what the model made of the target images."""
    e, number = workspace.experiment, selection.round
    start = time.monotonic() - (begin.notes or {}).get("seconds", 0)
    counts, reachable = _counts(workspace, selection), selection.reachable
    drawn = f"{reachable} source images in reach" if workspace.source is not None else "target images alone"
    logger.info("train: round %d of %d, %s", number + 1, e.selection.rounds, drawn)
    if begin.step == 0:
        fitting.start_round(number)
    curves = fitting.round(selection, begin)
    fitting.hand_over_weights()
    if e.model.bn == "recalibrate":
        views = image_batches(
            workspace.target, lambda image: center_view(image, e.image_size), batch_size=e.evaluation.batch_size
        )  # fmt: skip
        recalibrate_batch_normalization(fitting.plain, views)
        fitting.load_weights()
    gradients = fitting.gradients(selection)
    end = end_round(fitting.plain, selection, workspace.target, batch_size=e.evaluation.batch_size)
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
        **_validation(workspace, fitting.plain),
        "gradients": gradients,
        "loss_curve": curves.curve(),
        "seconds": round(time.monotonic() - start, 2),
    }  # fmt: skip
    _log_round(entry, e.selection.rounds)
    return entry, end


def _counts(workspace: Workspace, selection: Selection) -> np.ndarray:
    if selection.counts is not None:
        return selection.counts
    return np.full(len(workspace.target), selection.reachable, np.int32)


def _validation(workspace: Workspace, model: keras.Model) -> dict[str, float | None]:
    if workspace.validation is None:
        return {"val_mean_class_accuracy": None, "val_accuracy": None}
    probabilities = predict(model, workspace.validation, batch_size=workspace.experiment.evaluation.batch_size)
    labels, predictions = workspace.validation.labels, probabilities.argmax(axis=-1)
    return {
        "val_mean_class_accuracy": mean_class_accuracy(labels, predictions, len(workspace.target.class_names)),
        "val_accuracy": accuracy(labels, predictions),
    }


def _write_summaries(workspace: Workspace, entry: dict) -> None:
    """What TensorBoard shows of a round."""
    with tf.summary.create_file_writer(str(workspace.folder.tensorboard)).as_default(step=entry["round"]):
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


def setting_of(workspace: Workspace, max_k: int | None) -> Setting:
    """The setting of a run; `max_k` is the width of its neighbor table."""
    s, source = workspace.experiment.selection, workspace.source
    return Setting(
        mode=s.mode, rounds=s.rounds, k0=s.k0, sigma0=s.sigma0, level_cap=s.level_cap, max_k=max_k,
        n_target=len(workspace.target), n_target_classes=len(workspace.target.class_names),
        n_validation=len(workspace.validation) if workspace.validation is not None else 0,
        n_source=len(source) if source is not None else 0,
        n_source_classes=len(source.class_names) if source is not None else 0,
    )  # fmt: skip
