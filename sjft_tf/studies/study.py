"""A study in its folder: what is there already, the cells that are not, and the tables and the page made of them."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.config import Study, differences, load_study
from sjft_tf.errors import InputError
from sjft_tf.reporting import StudyData, study_text, write_study
from sjft_tf.studies.plan import Plan, Results, run_path
from sjft_tf.studies.results import Answers, study_csv, study_data
from sjft_tf.studies.runner import Command, Failure, cell_command, read_results, run_cells

CONFIG = "study.yaml"
_PREDICTIONS = {"probabilities": np.floating, "labels": np.integer}


def run_study(
    study: Study, folder: pathlib.Path, *, jobs: int = 1, only: Sequence[str] = (), command: Command = cell_command
) -> tuple[StudyData, list[Failure]]:
    """Make every cell of a study that is not finished, and write `study.csv`, `study.json`, `study.md` and `study.html`.

    Args:
        study: what is compared; arms, seeds and values of the grid may be added to a folder. What is finished stays, but
            for the runs of an arm for which a wider grid chooses other values.
        folder: made if absent.
        jobs: cells at a time.
        only: runs, "arm=NAME,seed=N" or "arm=NAME" each, to make again; no others are made.
        command: what makes a cell.

    Raises:
        InputError: the folder is of another study, or `only` names no run of this one; nothing is written.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be 1 or more")
    wanted, arms = _wanted(study, only), _check_folder(study, folder)
    plan = Plan.of(study)
    with _alone(folder):
        files.write_text(folder / CONFIG, study.to_yaml(arms))
        for path in wanted:
            shutil.rmtree(folder / path, ignore_errors=True)
        failures = run_cells(plan, folder, jobs=jobs, wanted=wanted or None, command=command)
        results = read_results(plan, folder)
        data = study_data(plan, results, _answers(study, folder, results), [f"{found.words()}." for found in failures])
        _write(plan, folder, data, results)
    return data, failures


def _wanted(study: Study, only: Sequence[str]) -> list[str]:
    """The paths of the runs that `only` names."""
    found: list[str] = []
    for text in only:
        parts = dict(part.partition("=")[::2] for part in text.split(","))
        arm, seed = parts.pop("arm", ""), parts.pop("seed", None)
        if parts or arm not in study.overrides:
            raise InputError(
                f"--only {text} names no arm; write arm=NAME,seed=N with one of {', '.join(study.overrides)}"
            )
        seeds = [number for number in study.config.seeds if seed in (None, str(number))]
        if not seeds:
            known = ", ".join(map(str, study.config.seeds))
            raise InputError(f"--only {text} names no seed of the study; they are {known}")
        found += [path for number in seeds if (path := run_path(arm, number)) not in found]
    return found


def _check_folder(study: Study, folder: pathlib.Path) -> dict[str, dict]:
    """The arms that the folder holds already; `InputError` where it is of another study."""
    try:
        if not folder.exists() or not set(os.listdir(folder)) - {".lock"}:
            return {}
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error
    if not (folder / CONFIG).exists():
        raise InputError(f"{folder} holds files that are of no study; take a new or an empty folder")
    held = load_study(folder / CONFIG)
    for key, there, here in differences(held.base, study.base)[:1]:
        _refuse(folder, f"a study of another base config: {key}", there, here)
    there, here = (found.config.model_dump(mode="json") for found in (held, study))
    if there["budget"] != here["budget"]:
        _refuse(folder, "a study of another budget: it", there["budget"], here["budget"])
    if not _widens(there["tuning"], here["tuning"]):
        _refuse(folder, "a study of another tuning: it", there["tuning"], here["tuning"])
    for arm in held.overrides.keys() & study.overrides.keys():
        if held.overrides[arm] != study.overrides[arm]:
            _refuse(folder, f"another arm of that name: {arm}", dict(held.overrides[arm]), dict(study.overrides[arm]))
    return {arm: dict(values) for arm, values in held.overrides.items()}


def _widens(there: dict[str, Any] | None, here: dict[str, Any] | None) -> bool:
    """Whether the second tuning tries all that the first one does."""
    if there is None or here is None:
        return there is here
    grid, wider = there["grid"], here["grid"]
    same = there["seed"] == here["seed"] and grid.keys() == wider.keys()
    return same and all(value in wider[key] for key in grid for value in grid[key])


def _refuse(folder: pathlib.Path, what: str, there: Any, here: Any) -> None:
    raise InputError(f"{folder} holds {what} is {there!r} there and {here!r} here; take another --out, or delete it")


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """Hold the study's folder, and make it; `InputError` where another process does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a")  # noqa: SIM115, closed below
    except OSError as error:
        raise InputError(f"the study's folder {folder} cannot be written: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"the study in {folder} is in use by another process") from None
        yield


def _answers(study: Study, folder: pathlib.Path, results: Results) -> dict[str, Answers]:
    """What finished runs made of the test images, where intervals are over those."""
    found: dict[str, Answers] = {}
    if study.config.interval == "images":
        for arm in study.overrides:
            path = run_path(arm, study.config.seeds[0])
            if path in results:
                arrays = files.load_arrays(folder / path / "predictions.npz", _PREDICTIONS)
                found[path] = Answers(arrays["labels"], arrays["probabilities"].argmax(axis=-1))
    return found


def _write(plan: Plan, folder: pathlib.Path, data: StudyData, results: Results) -> None:
    files.write_text(folder / "study.csv", study_csv(plan, results))
    # an endless value of a config, such as of delta, is text here: JSON has none
    shown = json.loads(json.dumps(dataclasses.asdict(data)), parse_constant=str) | {"words": data.words()}
    for entry, arm in zip(shown["arms"], data.arms, strict=True):
        entry |= {"mean": arm.mean, "standard_error": arm.standard_error}
    for entry, contrast in zip(shown["contrasts"], data.contrasts, strict=True):
        entry |= {"verdict": contrast.verdict, "holds": contrast.holds}
    files.write_json(folder / "study.json", shown)
    files.write_text(folder / "study.md", study_text(data))
    write_study(folder / "study.html", data)
