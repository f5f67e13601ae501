"""One cell of a study, made in a process of its own: its stages, and `cell.json`, which says that it is finished."""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from sjft_tf import arithmetic, files, pipeline
from sjft_tf.config import DomainConfig, Experiment, settings_for_hash, target_images
from sjft_tf.errors import Diverged
from sjft_tf.studies.plan import RESULT, Kind, made_from
from sjft_tf.workspace import RunFolder, Workspace


def make(kind: Kind, experiment: Experiment, folder: RunFolder) -> None:
    """Make a cell, or go on with it.

    A search ends with the neighbor table, a run with its export and page. Of a trial stay its settings, history and
    figures; one whose training diverges is finished, and of no accuracy.

    Raises:
        InputError: something that a user can mend.
    """
    with folder.locked(wait=True):  # a process whose study was killed may still save what it has
        workspace = Workspace(experiment, folder)
        indexes = dict(_indexes(experiment, folder))
        with folder.sharing.awaited(indexes.values()):
            for path, domain in indexes.items():
                folder.sharing.take(path, domain)
            pipeline.prepare(workspace, trains=kind != "search")
            for path, domain in indexes.items():
                folder.sharing.give(path, domain)
        found: dict[str, Any] = {}
        if kind == "search":
            pipeline.run(workspace, until="search")
        elif kind == "trial":
            found = _tried(workspace)
        else:
            found = _figures(workspace, pipeline.run(workspace))
        recorded = {**found, **arithmetic.in_force(), "seconds": _seconds(folder)}
        files.write_json(folder.path / RESULT, {"made_from": made_from(kind, experiment), "kind": kind, **recorded})


def _tried(workspace: Workspace) -> dict[str, Any]:
    """The figures of a trial; its weights go, and the page that was written in training."""
    folder = workspace.folder
    try:
        found = _figures(workspace, pipeline.run(workspace, until="evaluate"))
    except Diverged as error:
        found = {"validation": 0.0, "diverged": str(error), "target_images": target_images(workspace.experiment)}
    shutil.rmtree(folder.checkpoint.parent, ignore_errors=True)
    folder.report.unlink(missing_ok=True)
    return found


def _figures(workspace: Workspace, results: pipeline.Results) -> dict[str, Any]:
    """What tables and pages of the study show of a cell; accuracies in 0..1 of the model that is exported, and by round."""
    assert results.rounds is not None and results.evaluation is not None  # they were made
    metrics, history = results.evaluation.metrics, results.rounds.history
    seconds, rounds = 0.0, []
    tested = metrics["test"]["rounds"] if metrics["test"] is not None else [{}] * len(history)
    for number, (entry, test) in enumerate(zip(history, tested, strict=True), start=1):
        seconds += entry["seconds"]
        rounds.append({
            "target_images": target_images(workspace.experiment, number), "train_seconds": round(seconds, 2),
            "validation": entry["val_mean_class_accuracy"], "mean_class_accuracy": test.get("mean_class_accuracy"),
        })  # fmt: skip
    found = {
        "target_images": target_images(workspace.experiment), "train_seconds": round(seconds, 2), "rounds": rounds,
        "validation": history[metrics["exported_round"]]["val_mean_class_accuracy"],
    }  # fmt: skip
    if metrics["test"] is not None:
        found |= {name: metrics["test"]["final"][name] for name in ("mean_class_accuracy", "accuracy")}
        found["n_test"] = metrics["test"]["n"]
    return found


def _seconds(folder: RunFolder) -> float:
    return round(sum(float(stage["seconds"]) for stage in folder.recorded_stages().values()), 2)


def _indexes(experiment: Experiment, folder: RunFolder) -> Iterator[tuple[pathlib.Path, str]]:
    """Where the index of every domain of files is, and what it is shared by; files that changed are read again anyway."""

    def of(role: str, domain: DomainConfig | None) -> Iterator[tuple[pathlib.Path, str]]:
        for i, part in enumerate((domain.union or ()) if domain is not None else ()):
            yield from of(f"{role}-{i}", part)
        if domain is not None and domain.union is None and domain.synthetic is None:
            yield folder.scan(role), files.digest("index", settings_for_hash(domain))

    for role in ("target", "validation", "test"):
        yield from of(role, getattr(experiment, role))
    if experiment.selection.mode != "none":  # which never opens it
        yield from of("source", experiment.source)
