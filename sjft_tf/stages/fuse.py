"""Model fusion: the classifiers of a run's rounds, or of several runs, as one exported model (Ge & Yu, section 4)."""

import contextlib
import itertools
import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from sjft_tf.config import load_experiment
from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.evaluation import figures, measured
from sjft_tf.inference import predict
from sjft_tf.progress import watching
from sjft_tf.serving import Row, check_fusion_folder, export_probabilities, fused, own_copy, softmax_classifier
from sjft_tf.workspace import RunFolder, Workspace, card_of, completed_rounds, initial_model

logger = logging.getLogger(__name__)


def fuse(folders: Sequence[RunFolder], out: pathlib.Path) -> dict:
    """Export the mean of all rounds' classifiers of one run, or of the last round's of several; nothing is trained.

    Where all runs have the same test domain, each member and the fusion are measured on it, by the first run's view.

    Args:
        folders: runs that are complete, with equal class names and image sizes; each is locked meanwhile.
        out: absent, empty, or an earlier fusion; only one process may export there at a time.

    Returns:
        What `out/fusion.json` holds: `members`, each with `run`, `round` (from 0) and, if measured, `accuracy` and
        `mean_class_accuracy`; and `test` as in metrics.json, of the fusion, or None.

    Raises:
        InputError: a folder is no run, is in use, given twice, or incomplete; the runs do not fit together; there is
            nothing to fuse; or `out` holds something else. `out` is as it was then.
    """
    check_fusion_folder(out)
    with opened(folders) as runs:
        model, record = fusion_of(runs)
        card = card_of(runs, record["test"])
        card["name"], card["members"] = f"{card['name']} (fusion)", record["members"]
        classes = list(runs[0].target.class_names)
        export_probabilities(model, out, class_names=classes, card=card, fusion=record)
    logger.info("fuse: %s", out)
    return record


def fusion_of(runs: Sequence[Workspace]) -> tuple[keras.Model, dict]:
    """The fused model and its record, as `fuse` exports them; nothing is written."""
    _check(runs)
    test, found = common([run.test for run in runs]), None
    models, rows, probabilities = zip(*_members(runs, test), strict=True)
    if test is not None:
        final = measured(test.labels, np.mean(probabilities, axis=0), test.class_names)
        found = {"domain": test.name, "n": len(test), "view": runs[0].experiment.evaluation.view, "final": final}
    return fused(models), {"members": list(rows), "test": found}


@contextlib.contextmanager
def opened(folders: Sequence[RunFolder]) -> Iterator[list[Workspace]]:
    """The runs in folders that hold one each, locked."""
    paths = [folder.path.resolve() for folder in folders]
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise InputError(f"{folders[i].path} is given twice; a model counts once in a fusion")
    with contextlib.ExitStack() as locks:
        for folder in folders:
            locks.enter_context(folder.locked(make=False))
        yield [Workspace(load_experiment(folder.config), folder) for folder in folders]


def _check(runs: Sequence[Workspace]) -> None:
    """Refuse runs that do not fit together, or are incomplete."""
    first = runs[0]
    if len(runs) == 1 and first.experiment.selection.rounds == 1:
        raise InputError(f"{first.folder.path} has one round, so there is nothing to fuse; give several runs")
    for run in runs[1:]:
        for (what, here), (_, there) in zip(_told(first), _told(run), strict=False):
            if here != there:
                raise InputError(
                    f"{what} is {here!r} in {first.folder.path} and {there!r} in {run.folder.path}; only models of one "
                    "size and the same classes fuse"
                )
    for run in runs:
        rounds, trained = run.experiment.selection.rounds, run.folder.recorded_stages().get("train", {})
        done = len(completed_rounds(run.folder, trained.get("made_from", ""), rounds).arrays)
        if done < rounds:
            raise InputError(
                f"{run.folder.path} has {done} of {rounds} rounds complete; run `sjft-tf run` with its config first"
            )


def _told(run: Workspace) -> Iterator[tuple[str, Any]]:
    """What must be the same in all runs; what can be told without reading images comes first."""
    yield "image_size", run.experiment.image_size
    names = run.target.class_names
    yield "the number of classes", len(names)
    yield from ((f"class {i}", name) for i, name in enumerate(names))


def common(domains: Sequence[Domain | None]) -> Domain | None:
    """The domain that all of them are, judged by the images; None if there is no such."""
    first = domains[0]
    if first is None or any(domain is None or domain.fingerprint() != first.fingerprint() for domain in domains):
        logger.info("fuse: no test domain that is that of all runs, so no accuracy")
        return None
    return first


def _members(runs: Sequence[Workspace], test: Domain | None) -> Iterator[tuple[keras.Model, Row, np.ndarray | None]]:
    """Every member's classifier with weights of its own, its row, and its probabilities on the test domain."""
    settings, numbers = runs[0].experiment.evaluation, itertools.count(1)
    for run in runs:
        rounds, name = run.experiment.selection.rounds, run.folder.path.resolve().name
        model = initial_model(run)
        for number in range(rounds) if len(runs) == 1 else (rounds - 1,):
            model.load_weights(run.folder.weights(number))
            row: Row = {"run": name, "round": number}
            probabilities = None
            if test is not None:
                with watching(f"evaluate {name}, round {number + 1}") as progress:
                    probabilities = predict(
                        model, test, batch_size=settings.batch_size, view=settings.view, progress=progress
                    )
                found = figures(test.labels, probabilities)
                row["mean_class_accuracy"], row["accuracy"] = found["mean_class_accuracy"], found["accuracy"]
            yield own_copy(softmax_classifier(model), f"member_{next(numbers)}"), row, probabilities
