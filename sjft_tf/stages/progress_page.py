"""The report page while training goes on, and what it has in common with the final one."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.config import to_yaml
from sjft_tf.reporting import DomainSummary, ReportData, write_report
from sjft_tf.stages.run import Run, versions

logger = logging.getLogger(__name__)


def report_progress(run: Run, rounds: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Write `report.html` as far as the rounds that are complete go; a second's work, without pictures and test results.

    It starts no stage, and training goes on whatever happens here: what goes wrong is logged.

    Args:
        run: the run in training.
        rounds: `counts`, `entropies` and `correct` of the complete rounds, in order, as `completed_rounds` has them.
    """
    try:
        _take_back_report(run)
        planned = run.experiment.selection.rounds
        write_report(run.folder.report, ReportData(**training_fields(run, rounds), rounds_planned=planned))
    except Exception as error:  # no page is worth a training
        logger.warning("the report page after round %d could not be written: %s", len(rounds), error)


def training_fields(run: Run, rounds: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """What a page shows of data and training; fields of `ReportData`."""
    e, history = run.experiment, run.folder.read_history()[: len(rounds)]
    seconds = {stage: entry["seconds"] for stage, entry in run.folder.recorded_stages().items()}
    if history and "train" not in seconds:
        seconds["train"] = sum(entry["seconds"] for entry in history)
    return {
        "name": e.name,
        "mode": e.selection.mode,
        "domains": {
            role: DomainSummary(domain.name, len(domain), len(domain.class_names), len(domain.rejected))
            for role, domain in run.domains().items()
        },
        "history": history,
        "counts_per_round": [arrays["counts"] for arrays in rounds] if run.needs_neighbors else [],
        "entropies_per_round": [arrays["entropies"] for arrays in rounds],
        "correct_per_round": [arrays["correct"] for arrays in rounds],
        "delta": e.selection.delta,
        "semantic": e.descriptor.semantic,
        "seconds": seconds,
        "config": to_yaml(e),
        "versions": versions(),
    }


def _take_back_report(run: Run) -> None:
    """The page of an earlier, complete training is about to be replaced: it must not count as up to date any more."""
    recorded = run.folder.recorded_stages()
    if recorded.pop("report", None) is not None:
        files.write_json(run.folder.stages, recorded)
