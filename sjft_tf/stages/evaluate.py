"""The stage `evaluate`: accuracy and calibration on the test domain after every round. Nothing is chosen by it."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.config import Experiment, settings_for_hash
from sjft_tf.domains import Domain
from sjft_tf.evaluation import best_round, confusion_csv, confusion_matrix, figures, measured, per_class_csv
from sjft_tf.inference import predict
from sjft_tf.progress import watching
from sjft_tf.reporting.words import printable
from sjft_tf.stages.values import Evaluation
from sjft_tf.workspace import Rounds, Workspace, initial_model

_ARRAYS = {"probabilities": np.float32, "labels": np.int32}
logger = logging.getLogger(__name__)


def evaluate(workspace: Workspace, rounds: Rounds) -> Evaluation:
    """Measure every round's model on the test domain, unless that is up to date.

    The metrics' `best_round` is the one of the highest mean class accuracy on the validation domain, None without one.
    """
    folder, made_from, test = workspace.folder, _made_from(workspace, rounds), workspace.test
    metrics = folder.load_json(folder.metrics, made_from)
    predictions = files.load_made_from(folder.predictions, made_from, _ARRAYS)
    if metrics is None or (test is not None and predictions is None):
        start = time.monotonic()
        best, exported = _best(rounds.history), exported_round(workspace.experiment, rounds.history)
        metrics = {"made_from": made_from, "best_round": best, "exported_round": exported, "test": None}
        if test is not None:
            metrics["test"], probabilities = _on_test(workspace, test, exported)
            predictions = {"probabilities": probabilities, "labels": test.labels}
            files.save_arrays(folder.predictions, made_from=made_from, **predictions)
        files.write_json(folder.metrics, metrics)
        folder.record_stage("evaluate", made_from, time.monotonic() - start)
    if test is None or predictions is None:
        return Evaluation(made_from, metrics, None)
    n_classes, answers = len(workspace.target.class_names), predictions["probabilities"].argmax(axis=-1)
    confusion = confusion_matrix(predictions["labels"], answers, n_classes)
    _write_tables(workspace, confusion)
    return Evaluation(made_from, metrics, confusion)


def exported_round(experiment: Experiment, history: Sequence[Mapping[str, Any]]) -> int:
    """The round, from 0, whose model is exported."""
    best = _best(history)
    return best if experiment.export.round == "best" and best is not None else len(history) - 1


def _best(history: Sequence[Mapping[str, Any]]) -> int | None:
    return best_round([entry["val_mean_class_accuracy"] for entry in history])


def _made_from(workspace: Workspace, rounds: Rounds) -> str:
    e, test = workspace.experiment, workspace.test
    settings = {"evaluation": settings_for_hash(e.evaluation), "export": settings_for_hash(e.export)}
    return files.digest("metrics 3", rounds.made_from, test.fingerprint() if test is not None else "", settings)


def _on_test(workspace: Workspace, test: Domain, exported: int) -> tuple[dict, np.ndarray]:
    """The figures of every round, and `[n, C]` probabilities of the one that is exported."""
    settings, model, rounds = workspace.experiment.evaluation, initial_model(workspace), []
    kept = np.empty(0)
    for number in range(workspace.experiment.selection.rounds):
        model.load_weights(workspace.folder.weights(number))
        with watching(f"evaluate round {number + 1}") as progress:
            probabilities = predict(model, test, batch_size=settings.batch_size, view=settings.view, progress=progress)
        if number == exported:
            kept = probabilities
        rounds.append({"round": number, **figures(test.labels, probabilities)})
        shown = 100 * rounds[-1]["mean_class_accuracy"]
        logger.info("evaluate: round %d: mean class accuracy %.1f %%", number + 1, shown)
    found = measured(test.labels, kept, test.class_names)
    return {"domain": test.name, "n": len(test), "view": settings.view, "final": found, "rounds": rounds}, kept


def _write_tables(workspace: Workspace, confusion: np.ndarray) -> None:
    """Write the tables that follow from the predictions, where they are not there as they should be."""
    names = [printable(name) for name in workspace.target.class_names]  # a name off the disk may hold ends of lines
    for path, table in ((workspace.folder.confusion, confusion_csv), (workspace.folder.per_class, per_class_csv)):
        text = table(confusion, names)
        if not path.exists() or path.read_bytes() != text.encode():
            files.write_text(path, text)
