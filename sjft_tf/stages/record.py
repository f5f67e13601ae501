"""What a run keeps of a round: weights, K and outcomes, a line of history, and what there is to say about it."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.diagnostics import Setting, warnings
from sjft_tf.domains import SyntheticImages
from sjft_tf.selection import Selection
from sjft_tf.training import LossCurves, NeighborExpansion, devices, objectives, plain_model
from sjft_tf.workspace import Rounds, Workspace, save_round

AfterRound = Callable[[Rounds], None]
logger = logging.getLogger(__name__)


class RoundRecord(keras.callbacks.Callback):
    """Completes each round in the run folder, after the callbacks that look at the model and before the checkpoint.

    Args:
        rounds: those that are complete; each that becomes so is added.
        expansion, curves: callbacks before this one.
        after_round: as of `train`.
    """

    def __init__(
        self,
        workspace: Workspace,
        rounds: Rounds,
        expansion: NeighborExpansion,
        curves: LossCurves,
        after_round: AfterRound | None,
    ) -> None:
        super().__init__()
        self.workspace, self.rounds, self.after_round = workspace, rounds, after_round
        self.expansion, self.curves = expansion, curves
        self.setting = _setting(workspace, expansion.selection)

    def state(self) -> float:
        """Seconds of the round until now."""
        return time.monotonic() - self._start

    def restore(self, state: float) -> None:
        """Count seconds on."""
        self._start = time.monotonic() - state

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the round's K."""
        self._start, selection = time.monotonic(), self.expansion.selection
        self._counts, self._reachable = _counts(self.workspace, selection), selection.reachable
        alone = self.workspace.source is None
        drawn = "target images alone" if alone else f"{self._reachable} source images in reach"
        logger.info("train: round %d of %d, %s", epoch + 1, self.setting.rounds, drawn)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write weights, history and, last, the record that makes the round complete."""
        entry = self._entry(epoch, logs or {})
        entropies, correct = np.asarray(self.expansion.entropies), np.asarray(self.expansion.correct)
        self.rounds.arrays.append({"counts": self._counts, "entropies": entropies, "correct": correct})
        self.rounds.history.append(entry)
        entry["warnings"] = self._warnings()
        plain = plain_model(self)
        if devices.is_chief():
            with files.replacing_path(self.workspace.folder.weights(epoch)) as path:
                plain.save_weights(path)
            _write_summaries(self.workspace, entry)
            save_round(self.workspace.folder, self.rounds)
            if self.after_round is not None and epoch + 1 < self.setting.rounds:
                self.after_round(self.rounds)

    def _entry(self, epoch: int, logs: Mapping[str, Any]) -> dict[str, Any]:
        gradients = {"target": "target_gradient", "source": "source_gradient", "cosine": "gradient_cosine"}
        entry = {
            "round": epoch,
            "k_min": int(self._counts.min()),
            "k_mean": float(self._counts.mean()),
            "k_max": int(self._counts.max()),
            "reachable": self._reachable,
            **{f"n_{name}": logs[name] for name in ("wrong", "uncertain", "settled")},
            **objectives.history(self.model.terms, logs),
            **{name: logs.get(name) for name in ("val_mean_class_accuracy", "val_accuracy")},
            "gradients": {k: logs[name] for k, name in gradients.items()} if "gradient_cosine" in logs else None,
            "loss_curve": self.curves.curve(),
            "seconds": round(self.state(), 2),
        }
        losses = [f"{term.name} loss {entry[f'{term.name}_loss']:.3f}" for term in self.model.terms]
        validation = entry["val_mean_class_accuracy"]
        logger.info(
            "train: round %d of %d took %.0f s: %s; %d target images wrong, %d uncertain, %d settled%s",
            epoch + 1, self.setting.rounds, entry["seconds"], ", ".join(losses),
            entry["n_wrong"], entry["n_uncertain"], entry["n_settled"],
            "" if validation is None else f"; validation mean class accuracy {validation:.1%}",
        )  # fmt: skip
        return entry

    def _warnings(self) -> list[str]:
        counts = [arrays["counts"] for arrays in self.rounds.arrays]
        if len(counts) < self.setting.rounds:
            counts.append(_counts(self.workspace, self.expansion.selection))
        found = warnings(self.rounds.history, self.setting, counts if self.setting.max_k is not None else ())
        for sentence in found:
            logger.warning("notice: %s", sentence)
        return found


def _counts(workspace: Workspace, selection: Selection) -> np.ndarray:
    if selection.counts is not None:
        return selection.counts
    return np.full(len(workspace.target), selection.reachable, np.int32)


def _write_summaries(workspace: Workspace, entry: dict) -> None:
    """What TensorBoard shows of a round."""
    with tf.summary.create_file_writer(str(workspace.folder.tensorboard)).as_default(step=entry["round"]):
        for name, value in entry.items():
            if isinstance(value, int | float):
                tf.summary.scalar(name, value)


def _setting(workspace: Workspace, selection: Selection) -> Setting:
    s, source, table = workspace.experiment.selection, workspace.source, selection.neighbors
    return Setting(
        mode=s.mode, rounds=s.rounds, k0=s.k0, sigma0=s.sigma0, level_cap=s.level_cap,
        max_k=table.depth if table is not None else None,
        n_target=len(workspace.target), n_target_classes=len(workspace.target.class_names),
        n_validation=len(workspace.validation) if workspace.validation is not None else 0,
        n_source=len(source) if source is not None else 0,
        n_source_classes=len(source.class_names) if source is not None else 0,
        is_synthetic=isinstance(source, SyntheticImages),
    )  # fmt: skip
