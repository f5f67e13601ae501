"""The stage `evaluate`: accuracy and calibration on the test domain after every round. Nothing is chosen by it."""

import logging
import pathlib
import time

import numpy as np

from sjft_tf import files
from sjft_tf.domains import Domain
from sjft_tf.evaluation import (
    accuracy,
    best_round,
    confusion_csv,
    confusion_matrix,
    expected_calibration_error,
    mean_class_accuracy,
    per_class_accuracy,
    per_class_csv,
    reliability,
)
from sjft_tf.inference import predict
from sjft_tf.reporting.words import printable
from sjft_tf.stages.run import Run
from sjft_tf.stages.train import train
from sjft_tf.stages.watching import watching

logger = logging.getLogger(__name__)


def evaluate(run: Run) -> dict:
    """Measure every round's model on the test domain; the metrics come back.

    Their `best_round` is the one of the highest mean class accuracy on the validation domain, None without one.
    """
    history = train(run)
    metrics = run.folder.load_json(run.folder.metrics, run.metrics_hash)
    if metrics is None or (run.test is not None and predictions(run) is None):
        start = time.monotonic()
        metrics = {
            "made_from": run.metrics_hash,
            "best_round": best_round([entry["val_mean_class_accuracy"] for entry in history]),
            "test": _on_test(run, run.test) if run.test is not None else None,
        }
        files.write_json(run.folder.metrics, metrics)
        run.folder.record_stage("evaluate", run.metrics_hash, time.monotonic() - start)
    if run.test is not None:
        _write_tables(run)
    return metrics


def predictions(run: Run) -> dict[str, np.ndarray] | None:
    """The last round's `probabilities` and the `labels` of the test domain; None if they are to be made."""
    names = {"probabilities": np.float32, "labels": np.int32}
    return run.folder.load(run.folder.predictions, run.metrics_hash, names)


def _on_test(run: Run, test: Domain) -> dict:
    settings = run.experiment.evaluation
    model, rounds = run.model, []
    for number in range(run.experiment.selection.rounds):
        model.load_weights(run.folder.weights(number))
        with watching(f"evaluate round {number + 1}") as progress:
            probabilities = predict(model, test, batch_size=settings.batch_size, view=settings.view, progress=progress)
        rounds.append({"round": number, **figures(test, probabilities)})
        shown = 100 * rounds[-1]["mean_class_accuracy"]
        logger.info("evaluate: round %d: mean class accuracy %.1f %%", number + 1, shown)
    run.folder.save(run.folder.predictions, run.metrics_hash, probabilities=probabilities, labels=test.labels)
    entry = measured(test, probabilities, settings.view)
    return {**entry, "rounds": rounds}


def measured(test: Domain, probabilities: np.ndarray, view: str) -> dict:
    """What metrics.json tells of a model: the test domain, and `final`, its figures by class and by confidence."""
    n_classes = len(test.class_names)
    shares = per_class_accuracy(confusion_matrix(test.labels, probabilities.argmax(axis=-1), n_classes)).tolist()
    shares_or_none = [None if np.isnan(share) else share for share in shares]
    return {
        "domain": test.name,
        "n": len(test),
        "view": view,
        "final": {
            **figures(test, probabilities),
            "per_class": dict(zip(test.class_names, shares_or_none, strict=True)),
            "reliability": [found._asdict() for found in reliability(test.labels, probabilities)],
        },
    }


def figures(test: Domain, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracies and calibration error of `[n, C]` probabilities on a test domain."""
    answers = probabilities.argmax(axis=-1)
    return {
        "mean_class_accuracy": mean_class_accuracy(test.labels, answers, len(test.class_names)),
        "accuracy": accuracy(test.labels, answers),
        "ece": expected_calibration_error(test.labels, probabilities),
    }


def _write_tables(run: Run) -> None:
    """Write the tables that follow from the predictions, where they are not there as they should be."""
    arrays = predictions(run)
    assert arrays is not None  # `evaluate` made them
    names = [printable(name) for name in run.target.class_names]  # a name off the disk may hold ends of lines
    confusion = confusion_matrix(arrays["labels"], arrays["probabilities"].argmax(axis=-1), len(names))
    _keep_text(run.folder.confusion, confusion_csv(confusion, names))
    _keep_text(run.folder.per_class, per_class_csv(confusion, names))


def _keep_text(path: pathlib.Path, text: str) -> None:
    if not path.exists() or path.read_bytes() != text.encode():
        files.write_text(path, text)
