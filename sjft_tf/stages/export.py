"""The stage `export`: the target classifier of the last round, for Keras and for TensorFlow Serving."""

import logging
import time

from sjft_tf.serving import Card, export_classifier
from sjft_tf.stages.evaluate import evaluate
from sjft_tf.stages.run import Run, versions

logger = logging.getLogger(__name__)


def export(run: Run) -> None:
    """Write the exported model and its card, unless they are up to date."""
    metrics = evaluate(run)
    made = [run.folder.export / "model.keras", run.folder.export / "saved_model" / "1" / "saved_model.pb"]
    if run.folder.is_recorded("export", run.metrics_hash) and all(path.exists() for path in made):
        return
    start, e = time.monotonic(), run.experiment
    model = run.model
    model.load_weights(run.folder.weights(e.selection.rounds - 1))
    export_classifier(model, run.folder.export, class_names=list(run.target.class_names), card=_card(run, metrics))
    run.folder.record_stage("export", run.metrics_hash, time.monotonic() - start)
    logger.info("export: %s", run.folder.export)


def _card(run: Run, metrics: dict) -> Card:
    e = run.experiment
    card: Card = {
        "name": e.name,
        "backbone": e.model.backbone,
        "data": [
            {"role": role, "name": domain.name, "images": len(domain), "classes": len(domain.class_names)}
            for role, domain in run.domains().items()
        ],
        "training": {
            "method": f"joint fine-tuning, source images: {e.selection.mode}",
            "initial weights": e.model.weights or "random",
            "rounds": e.selection.rounds,
            "steps a round": e.training.steps_per_round,
            "batch size": e.training.batch_size,
            "learning rate": e.training.learning_rate,
            "image size": e.image_size,
            "seed": e.seed,
        },
        "versions": versions(),
    }
    if metrics["test"] is not None:
        card["test"] = metrics["test"]
    return card
