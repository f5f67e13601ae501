"""The stage `export`: the target classifier of one round, for Keras and for TensorFlow Serving."""

import logging
import time

from sjft_tf import files
from sjft_tf.serving import export_classifier
from sjft_tf.stages.values import Evaluation
from sjft_tf.workspace import Workspace, card_of, initial_model

logger = logging.getLogger(__name__)


def export(workspace: Workspace, evaluation: Evaluation) -> None:
    """Write the exported model and its card, unless they are up to date."""
    folder, made_from = workspace.folder, files.digest("export 1", evaluation.made_from)
    made = [folder.export / "model.keras", folder.export / "saved_model" / "1" / "saved_model.pb"]
    if folder.is_recorded("export", made_from) and all(path.exists() for path in made):
        return
    start, number, classes = time.monotonic(), evaluation.metrics["exported_round"], workspace.target.class_names
    card = card_of([workspace], evaluation.metrics["test"])
    card["training"] = {**card["training"], "exported round": number + 1}
    model = initial_model(workspace)
    model.load_weights(folder.weights(number))
    export_classifier(model, folder.export, class_names=list(classes), card=card)
    folder.record_stage("export", made_from, time.monotonic() - start)
    logger.info("export: round %d to %s", number + 1, folder.export)
