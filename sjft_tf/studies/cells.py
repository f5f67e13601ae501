"""One cell of a study, made in a process of its own: its stages, and `cell.json`, which says that it is finished."""

import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sjft_tf import arithmetic, files, pipeline
from sjft_tf.config import DomainConfig, Experiment, settings_for_hash, target_images
from sjft_tf.errors import Diverged
from sjft_tf.stages.evaluate import exported_round
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
        known = dict(indexes(experiment, folder))
        with folder.sharing.awaited(known.values()):
            for path, origin in known.items():
                folder.sharing.take(path, origin)
            pipeline.prepare(workspace, trains=kind != "search")
            for path, origin in known.items():
                folder.sharing.give(path, origin)
        found: dict[str, Any] = {}
        if kind == "search":
            pipeline.run(workspace, until="search")
        elif kind == "trial":
            found = _tried(workspace)
        else:
            found = _ran(workspace)
        recorded = {**found, **arithmetic.in_force(), "seconds": _seconds(folder)}
        files.write_json(folder.path / RESULT, {"made_from": made_from(kind, experiment), "kind": kind, **recorded})


def _tried(workspace: Workspace) -> dict[str, Any]:
    """The figures of a trial; its weights go, and the page that was written in training."""
    folder = workspace.folder
    try:
        rounds = pipeline.run(workspace, until="train").rounds
        assert rounds is not None  # it was trained
        found = _trained(workspace, rounds.history, exported_round(workspace.experiment, rounds.history))
    except Diverged as error:
        found = {"validation": 0.0, "diverged": str(error), "target_images": target_images(workspace.experiment)}
    shutil.rmtree(folder.checkpoint.parent, ignore_errors=True)
    folder.report.unlink(missing_ok=True)
    return found


def _ran(workspace: Workspace) -> dict[str, Any]:
    """The figures of a run."""
    results = pipeline.run(workspace)
    assert results.rounds is not None and results.evaluation is not None  # they were made
    metrics = results.evaluation.metrics
    found, tested = _trained(workspace, results.rounds.history, metrics["exported_round"]), metrics["test"]
    for entry, figures in zip(found["rounds"], tested["rounds"], strict=True):
        entry["mean_class_accuracy"] = figures["mean_class_accuracy"]
    final = {name: tested["final"][name] for name in ("mean_class_accuracy", "accuracy")}
    return {**found, **final, "n_test": tested["n"]}


def _trained(workspace: Workspace, history: Sequence[Mapping[str, Any]], exported: int) -> dict[str, Any]:
    """What tables and pages of the study show of a training; accuracies in 0..1 of the exported round, and by round."""
    seconds, rounds = np.cumsum([entry["seconds"] for entry in history]).round(2).tolist(), []
    for number, (entry, until) in enumerate(zip(history, seconds, strict=True), start=1):
        rounds.append({
            "target_images": target_images(workspace.experiment, number), "train_seconds": until,
            "validation": entry["val_mean_class_accuracy"],
        })  # fmt: skip
    last = {name: rounds[-1][name] for name in ("target_images", "train_seconds")}
    return {**last, "validation": rounds[exported]["validation"], "rounds": rounds}


def _seconds(folder: RunFolder) -> float:
    return round(sum(float(stage["seconds"]) for stage in folder.recorded_stages().values()), 2)


def indexes(experiment: Experiment, folder: RunFolder) -> Iterator[tuple[pathlib.Path, str]]:
    """Where what was found by reading domains is, and what it is shared by; what changed since is read again anyway."""

    def of(role: str, domain: DomainConfig | None) -> Iterator[tuple[pathlib.Path, str]]:
        for i, part in enumerate((domain.union or ()) if domain is not None else ()):
            yield from of(f"{role}-{i}", part)
        if domain is not None and domain.union is None and domain.synthetic is None:
            yield folder.scan(role), files.digest("index", settings_for_hash(domain))

    for role in ("target", "validation", "test"):
        yield from of(role, getattr(experiment, role))
    if experiment.selection.mode != "none":  # which never opens it
        yield from of("source", experiment.source)
        if experiment.kept_out:
            parts = [getattr(experiment, role) for role in ("source", *experiment.kept_out)]
            yield folder.leaks, files.digest("leaks", [settings_for_hash(part) for part in parts])
