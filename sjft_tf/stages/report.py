"""The stage `report`: one page about the run, also while it trains."""

import logging
import time
from typing import Any

from sjft_tf import files
from sjft_tf.config import to_yaml
from sjft_tf.reporting import DomainSummary, ReportData, write_report
from sjft_tf.reporting.drawing import spread
from sjft_tf.retrieval.specificity import Specificity
from sjft_tf.stages.gallery import borrowing_of, gallery_row, leaked_of
from sjft_tf.stages.values import Evaluation, Neighbors
from sjft_tf.workspace import Rounds, Workspace, versions

logger = logging.getLogger(__name__)


def report(workspace: Workspace, neighbors: Neighbors | None, rounds: Rounds, evaluation: Evaluation) -> None:
    """Write `report.html`, unless it is up to date."""
    folder, made_from = workspace.folder, files.digest("report 1", evaluation.made_from)
    if folder.is_recorded("report", made_from) and folder.report.exists():
        return
    start = time.monotonic()
    write_report(folder.report, _report_data(workspace, neighbors, rounds, evaluation))
    folder.record_stage("report", made_from, time.monotonic() - start)
    logger.info("report: %s", folder.report)


def report_progress(workspace: Workspace, rounds: Rounds) -> None:
    """Write `report.html` as far as the rounds that are complete go; a second's work, without pictures and test results.

    Training continues whatever happens here: what goes wrong is logged.
    """
    try:
        workspace.folder.forget_stage("report")  # the page of an earlier, complete training is about to be replaced
        planned = workspace.experiment.selection.rounds
        write_report(workspace.folder.report, ReportData(**_training_fields(workspace, rounds), rounds_planned=planned))
    except Exception as error:  # no page is worth a training
        logger.warning("the report page after round %d could not be written: %s", len(rounds.history), error)


def _training_fields(workspace: Workspace, rounds: Rounds) -> dict[str, Any]:
    """What a page shows of data and training; fields of `ReportData`."""
    e = workspace.experiment
    seconds = {stage: entry["seconds"] for stage, entry in workspace.folder.recorded_stages().items()}
    if rounds.history and "train" not in seconds:
        seconds["train"] = sum(entry["seconds"] for entry in rounds.history)
    return {
        "name": e.name,
        "mode": e.selection.mode,
        "domains": {
            role: DomainSummary(domain.name, len(domain), len(domain.class_names), len(domain.rejected))
            for role, domain in workspace.domains().items()
        },
        "history": rounds.history,
        "counts_per_round": [arrays["counts"] for arrays in rounds.arrays] if workspace.has_table else [],
        "entropies_per_round": [arrays["entropies"] for arrays in rounds.arrays],
        "correct_per_round": [arrays["correct"] for arrays in rounds.arrays],
        "delta": e.selection.delta,
        "semantic": e.descriptor.semantic,
        "seconds": seconds,
        "config": to_yaml(e),
        "versions": versions(),
    }


def _report_data(
    workspace: Workspace, neighbors: Neighbors | None, rounds: Rounds, evaluation: Evaluation
) -> ReportData:
    e, metrics = workspace.experiment, evaluation.metrics
    test = metrics["test"] or {"rounds": [], "view": e.evaluation.view, "final": {}}
    gallery, borrowing, specificity = [], None, None
    if neighbors is not None:
        table = neighbors.table
        gallery = [gallery_row(workspace, table, i) for i in spread(len(workspace.target)).tolist()]
        if e.selection.mode == "selective":
            borrowing = borrowing_of(workspace, table, rounds.arrays[-1]["counts"])
            specificity = neighbors.figures.get("specificity")
    return ReportData(
        **_training_fields(workspace, rounds),
        test_rounds=test["rounds"],
        test_view=test["view"],
        ece=test["final"].get("ece"),
        reliability=test["final"].get("reliability", ()),
        best_round=metrics["best_round"],
        exported_round=metrics["exported_round"],
        class_names=list(workspace.target.class_names),
        confusion=evaluation.confusion,
        gallery=gallery,
        borrowing=borrowing,
        leaked=leaked_of(workspace.leaks) if workspace.leaks is not None else None,
        certificate=neighbors.figures.get("certificate") if neighbors is not None else None,
        specificity=Specificity(**specificity).words() if specificity else "",
    )
