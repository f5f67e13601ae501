"""The stage `train`: rounds of joint fine-tuning, each from the weights of the one before."""

import functools
import logging
from typing import Any

import keras

from sjft_tf import files, training
from sjft_tf.config import settings_for_hash
from sjft_tf.stages.fitting import check_agreement, compile_model, fit, make_selection, round_data
from sjft_tf.stages.probe import probe_heads
from sjft_tf.stages.record import AfterRound, RoundRecord
from sjft_tf.stages.values import Neighbors
from sjft_tf.training import devices
from sjft_tf.training.callbacks.averages import exchange
from sjft_tf.workspace import Rounds, Workspace, completed_rounds, initial_model
from sjft_tf.workspace.models import jit_compile, precision

logger = logging.getLogger(__name__)


def train(workspace: Workspace, neighbors: Neighbors | None, after_round: AfterRound | None = None) -> Rounds:
    """Train the rounds that are not complete yet; all of them come back.

    Args:
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
        workspace.folder.record_stage("train", made_from, sum(entry["seconds"] for entry in rounds.history))
    return rounds


def _made_from(workspace: Workspace, neighbors: Neighbors | None) -> str:
    """What the weights of every round are made from."""
    e, source = workspace.experiment, workspace.source
    names = ("selection", "model", "augmentation", "training")
    settings: dict[str, Any] = {name: settings_for_hash(getattr(e, name)) for name in names}
    settings["training"].pop("checkpoint_every", None)  # how often it is saved changes no weight
    settings |= {"seed": e.seed, "image_size": e.image_size}
    weights = e.model.weights
    content = "" if weights in (None, "imagenet") else files.digest_of_file(str(weights))
    domains = [workspace.target.fingerprint(), source.fingerprint() if source is not None else ""]
    # 4: weights of joint runs until 3 were trained on half of each domain's mean loss; without a source nothing changed.
    version = "weights 3" if source is None else "weights 4"
    return files.digest(version, settings, content, domains, neighbors.made_from if neighbors is not None else "")


def _train_rounds(
    workspace: Workspace, neighbors: Neighbors | None, rounds: Rounds, after_round: AfterRound | None
) -> None:
    """Train on from the rounds that are complete; each that becomes so is added to them."""
    e, t = workspace.experiment, workspace.experiment.training
    table = neighbors.table if neighbors is not None else None
    selection, (model, plain) = make_selection(workspace, table), _models(workspace)
    for arrays in rounds.arrays:
        selection.advance(arrays["entropies"], arrays["correct"])
    averages = training.AveragedWeights() if t.ema_momentum is not None else None
    if rounds.arrays:
        weights = workspace.folder.weights(len(rounds.arrays) - 1)
        if averages is None:
            plain.load_weights(weights)
        else:  # the file has averages for weights, and the weights in the optimizer, which must be there to read them
            plain.optimizer.build(plain.trainable_variables)
            plain.load_weights(weights)
            exchange(plain)
        if model is not plain:
            model.set_weights(plain.get_weights())
    elif t.probe_steps:
        probe_heads(workspace, model, selection, rounds.made_from)

    data = functools.cache(functools.partial(round_data, workspace, model, selection))
    rows = data()
    views = {"batch_size": e.evaluation.batch_size}
    curves, expansion = training.LossCurves(), training.NeighborExpansion(selection, workspace.target, **views)
    record = RoundRecord(workspace, rounds, expansion, curves, after_round)
    checkpoint = training.Checkpoint(
        workspace.folder.checkpoint, selection, every=t.checkpoint_every, kept={"curves": curves, "record": record},
        made_from=rounds.made_from, round=len(rounds.arrays), writes=devices.is_chief(),
    )  # fmt: skip
    check_agreement(workspace, checkpoint)
    callbacks = [training.OptimizerRestart(e.seed, steps=0 if t.restart else t.steps_per_round), curves]
    if workspace.source is not None:
        callbacks.append(training.GradientConflict(rows))
    if averages is not None:
        callbacks.append(averages)
    if e.model.bn == "recalibrate":
        callbacks.append(training.BatchNormalizationRecalibration(workspace.target, e.image_size, **views))
    callbacks.append(expansion)
    if workspace.validation is not None:
        callbacks.append(training.ValidationAccuracy(workspace.validation, **views))
    callbacks.append(record)
    if averages is not None:
        callbacks.append(averages.back)
    rounds_of = {"epochs": e.selection.rounds, "steps": t.steps_per_round}
    fit(model, data, checkpoint, callbacks, plain=plain, what="train", **rounds_of)
    if devices.is_chief():
        workspace.folder.checkpoint.unlink(missing_ok=True)


def _models(workspace: Workspace) -> tuple[keras.Model, keras.Model]:
    """The compiled model on the run's devices, and the one to predict with: with several workers a copy in this process."""
    t, strategy = workspace.experiment.training, devices.strategy()
    compiled = jit_compile(t, strategy)
    plain = initial_model(workspace)
    model = initial_model(workspace, strategy) if devices.in_cluster() else plain
    for each in {id(model): model, id(plain): plain}.values():
        with each.distribute_strategy.scope():
            compile_model(workspace.experiment, each, jit_compile=compiled)
    logger.info(
        "train: %s, %s, %d replica%s, %d images an update", precision(t),
        "compiled by XLA" if compiled else "not compiled by XLA", strategy.num_replicas_in_sync,
        "s" * (strategy.num_replicas_in_sync > 1),
        t.batch_size * t.iter_size // (1 if workspace.source is not None else 2),
    )  # fmt: skip
    return model, plain
