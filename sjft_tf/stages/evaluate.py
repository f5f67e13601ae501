"""The stage `evaluate`: accuracy on the test domain after every round. Nothing is chosen by it."""

import logging
import time

import numpy as np

from sjft_tf import files
from sjft_tf.domains import Domain
from sjft_tf.evaluation import accuracy, confusion_matrix, mean_class_accuracy, per_class_accuracy
from sjft_tf.stages.run import Run
from sjft_tf.stages.train import train
from sjft_tf.stages.watching import watching
from sjft_tf.training import predict

logger = logging.getLogger(__name__)


def evaluate(run: Run) -> dict:
    """Measure every round's model on the test domain; the metrics come back."""
    train(run)
    held = run.folder.load_json(run.folder.metrics, run.metrics_hash)
    if held is not None and (run.test is None or predictions(run) is not None):
        return held
    start = time.monotonic()
    metrics = {"made_from": run.metrics_hash, "test": _on_test(run, run.test) if run.test is not None else None}
    files.write_json(run.folder.metrics, metrics)
    run.folder.record_stage("evaluate", run.metrics_hash, time.monotonic() - start)
    return metrics


def predictions(run: Run) -> dict[str, np.ndarray] | None:
    """The last round's `probabilities` and the `labels` of the test domain; None if they are to be made."""
    names = {"probabilities": np.float32, "labels": np.int32}
    return run.folder.load(run.folder.predictions, run.metrics_hash, names)


def _on_test(run: Run, test: Domain) -> dict:
    settings, classes = run.experiment.evaluation, list(run.target.class_names)
    model, rounds = run.model, []
    for number in range(run.experiment.selection.rounds):
        model.load_weights(run.folder.weights(number))
        with watching(f"evaluate round {number + 1}") as progress:
            probabilities = predict(
                model, test, batch_size=settings.batch_size, flip=settings.view == "flip", progress=progress
            )
        answers = probabilities.argmax(axis=-1)
        figures = {
            "mean_class_accuracy": mean_class_accuracy(test.labels, answers, len(classes)),
            "accuracy": accuracy(test.labels, answers),
        }
        rounds.append({"round": number, **figures})
        logger.info("evaluate: round %d: mean class accuracy %.1f %%", number + 1, 100 * figures["mean_class_accuracy"])
    run.folder.save(run.folder.predictions, run.metrics_hash, probabilities=probabilities, labels=test.labels)
    shares = per_class_accuracy(confusion_matrix(test.labels, answers, len(classes)))
    per_class = {name: None if np.isnan(share) else float(share) for name, share in zip(classes, shares, strict=True)}
    return {
        "domain": test.name,
        "n": len(test),
        "view": settings.view,
        "rounds": rounds,
        "final": {**figures, "per_class": per_class},
    }
