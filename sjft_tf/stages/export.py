"""The stage `export`: the target classifier of the last or the best round, for Keras and for TensorFlow Serving."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from sjft_tf import files
from sjft_tf.config import Experiment, settings_for_hash
from sjft_tf.serving import Card, DataRow, export_classifier
from sjft_tf.stages.evaluate import evaluate
from sjft_tf.stages.run import Run, versions

logger = logging.getLogger(__name__)


def export(run: Run) -> None:
    """Write the exported model and its card, unless they are up to date."""
    metrics = evaluate(run)
    made = [run.folder.export / "model.keras", run.folder.export / "saved_model" / "1" / "saved_model.pb"]
    made_from = files.digest("export 1", run.metrics_hash, settings_for_hash(run.experiment.export))
    if run.folder.is_recorded("export", made_from) and all(path.exists() for path in made):
        return
    start, model, classes = time.monotonic(), run.model, list(run.target.class_names)
    number = metrics["best_round"] if run.experiment.export.round == "best" else run.experiment.selection.rounds - 1
    model.load_weights(run.folder.weights(number))
    card = card_of([run], _test_of_round(metrics["test"], number))
    card["training"] = {**card["training"], "exported round": number + 1}
    export_classifier(model, run.folder.export, class_names=classes, card=card)
    run.folder.record_stage("export", made_from, time.monotonic() - start)
    logger.info("export: round %d, %s", number + 1, run.folder.export)


def _test_of_round(test: dict | None, number: int) -> dict | None:
    """The figures in metrics.json as a card of one round's model takes them; by class only of the last round."""
    return test if test is None or number == len(test["rounds"]) - 1 else {**test, "final": test["rounds"][number]}


def card_of(runs: Sequence[Run], test: dict | None) -> Card:
    """What a model card can tell of a model made from runs; where their settings differ, it names each run's in turn.

    Args:
        runs: at least one.
        test: the figures of the model as in metrics.json; None: not measured.
    """
    data: list[DataRow] = [
        {"role": role, "name": domain.name, "images": len(domain), "classes": len(domain.class_names)}
        for run in runs
        for role, domain in run.domains().items()
    ]
    settings = [_settings(run.experiment) for run in runs]
    card: Card = {
        "name": _each([run.experiment.name for run in runs]),
        "backbone": _each([run.experiment.model.backbone for run in runs]),
        "data": [row for i, row in enumerate(data) if row not in data[:i]],
        "training": {key: _each([each[key] for each in settings]) for key in settings[0]},
        "versions": versions(),
    }
    return card if test is None else {**card, "test": test}


def _settings(e: Experiment) -> dict[str, Any]:
    return {
        "method": f"joint fine-tuning, source images: {e.selection.mode}",
        "initial weights": e.model.weights or "random",
        "rounds": e.selection.rounds,
        "steps a round": e.training.steps_per_round,
        "batch size": e.training.batch_size,
        "learning rate": e.training.learning_rate,
        "image size": e.image_size,
        "seed": e.seed,
    }


def _each(values: Sequence[Any]) -> str:
    """One value where all are equal, else all of them."""
    return str(values[0]) if all(value == values[0] for value in values) else "; ".join(map(str, values))
