"""The order of a run's stages, and nothing else: what each is handed, and by which earlier one it was made.

Every stage returns at once what is up to date in the run folder, so the whole pipeline may be started again at any time,
for the whole run or `until` one stage.
"""

import dataclasses
import functools
import logging
from collections.abc import Sequence

from sjft_tf import files
from sjft_tf.config import to_yaml
from sjft_tf.domains import rejected_csv
from sjft_tf.errors import InputError
from sjft_tf.stages.describe import describe
from sjft_tf.stages.evaluate import evaluate
from sjft_tf.stages.export import export
from sjft_tf.stages.report import report, report_progress
from sjft_tf.stages.search import measure_of, search
from sjft_tf.stages.train import train
from sjft_tf.stages.values import Description, Evaluation, Neighbors
from sjft_tf.training import check_split, devices
from sjft_tf.workspace import Rounds, Workspace, initial_model, versions

STAGES = ("describe", "search", "train", "evaluate", "export", "report")
logger = logging.getLogger(__name__)


@dataclasses.dataclass
class Results:
    """What the stages of a run made, as far as they were run; None for the others, and for those without a table."""

    description: Description | None = None
    neighbors: Neighbors | None = None
    rounds: Rounds | None = None
    evaluation: Evaluation | None = None


def run(
    workspace: Workspace, until: str = STAGES[-1], *, runner: str | None = None, beam_options: Sequence[str] = ()
) -> Results:
    """Run the stages in order, up to and with `until`.

    Args:
        workspace: the run's; its folder is locked, and `prepare` was called.
        until: one of `STAGES`.
        runner, beam_options: of the stage `search`.

    Raises:
        InputError: something that a user can mend.
    """
    results = Results()
    if workspace.has_table or until in ("describe", "search"):
        results.description = describe(workspace)
        if until == "describe":
            return results
        results.neighbors = search(workspace, results.description, runner, beam_options)
        if until == "search":
            return results
    results.rounds = train(workspace, results.neighbors, functools.partial(report_progress, workspace))
    if until == "train":
        return results
    results.evaluation = evaluate(workspace, results.rounds)
    if until == "evaluate":
        return results
    export(workspace, results.evaluation)
    if until == "export":
        return results
    report(workspace, results.neighbors, results.rounds, results.evaluation)
    return results


def prepare(workspace: Workspace, *, trains: bool = True) -> None:
    """Open every domain and, in a new folder, build model and bank: bad input is found before anything is written.

    Then write the lists of what was left out and, in a new folder, what the run is made with and, last, its config.

    Args:
        trains: whether the run will train; else no model is built.

    Raises:
        InputError: a domain, backbone, bank or weights file cannot be used, or they do not fit together; or the source
            has fewer images than selection needs.
    """
    folder, experiment = workspace.folder, workspace.experiment
    domains, k0 = workspace.domains(), experiment.selection.k0
    if workspace.has_table and k0 > len(domains["source"]):
        raise InputError(f"selection.k0 is {k0}, but the source has only {len(domains['source'])} images")
    for role, domain in domains.items():
        left_out = f"; {len(domain.rejected)} files left out, see rejected.csv" if domain.rejected else ""
        n_classes = len(domain.class_names)
        logger.info("%s: %s, %d images, %d classes%s", role, domain.name, len(domain), n_classes, left_out)
    if workspace.leaks is not None:
        logger.info("source: %s, see duplicates.csv", workspace.leaks.words())
    check_split("training.batch_size", experiment.training.batch_size, devices.strategy().num_replicas_in_sync)
    is_new = not folder.config.exists()
    if is_new:
        if trains:
            initial_model(workspace)
        if workspace.has_table:
            measure_of(workspace)
    files.write_text(folder.rejected, rejected_csv(domains))
    if workspace.leaks is not None:
        files.write_text(folder.duplicates, workspace.leaks.csv())
    if is_new:
        files.write_json(folder.versions, versions())
        files.write_text(folder.config, to_yaml(experiment))
