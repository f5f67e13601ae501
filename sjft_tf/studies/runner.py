"""Cells in processes of their own: as many at a time as asked, each resumed or made, whatever becomes of the others.

A cell's process reads a pipe whose other end is the runner's alone: when the runner is gone, however it went, the pipe
closes, and the process stops as by SIGTERM, which keeps what is done. Cells are processes rather than threads because a
crash, and the memory of TensorFlow, end with the process.
"""

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sjft_tf import files
from sjft_tf.config import load_experiment, to_yaml
from sjft_tf.reporting.words import duration
from sjft_tf.studies.plan import RESULT, Cell, Kind, Plan, made_from

POLL_SECONDS, GRACE_SECONDS = 0.05, 60.0
SHARED = "shared"  # the folder of what cells have in common
logger = logging.getLogger(__name__)
Command = Callable[[Cell, pathlib.Path], list[str]]  # what makes a cell in the study's folder


def cell_command(cell: Cell, folder: pathlib.Path) -> list[str]:
    """The hidden command of `sjft-tf` that makes a cell."""
    path = folder / cell.path
    config = path.with_name(path.name + ".yaml")
    return [
        sys.executable, "-m", "sjft_tf.cli", "cell", str(config), "--out", str(path), "--kind", cell.kind,
        "--shared", str(folder / SHARED),
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Failure:
    """A cell that could not be made: its path and name, the last line that it said, and where the others are."""

    path: str
    name: str
    reason: str
    log: str

    def words(self) -> str:
        """One line."""
        return f"{self.name} failed: {self.reason}; see {self.log}"


@dataclasses.dataclass
class _Job:
    cell: Cell
    process: subprocess.Popen[bytes]
    start: float


def run_cells(
    plan: Plan, folder: pathlib.Path, *, jobs: int = 1, wanted: Sequence[str] | None = None,
    command: Command = cell_command,
) -> list[Failure]:  # fmt: skip
    """Make all cells of a plan that are not finished; who failed comes back.

    Args:
        folder: the study's, which nobody else has.
        jobs: processes at a time; each takes its share of the cores.
        wanted: the paths of the runs to make, with the searches and trials that they wait for; None: all.
        command: what makes a cell.
    """
    running: list[_Job] = []
    failed: dict[str, Failure] = {}
    seconds: list[tuple[Kind, float]] = []
    kinds = plan.paths() if wanted is None else {path: plan.paths()[path] for path in wanted}
    results = read_results(plan, folder)
    done = sum(path in results for path in kinds)
    logger.info("study: %d of %d cells are finished; the others are made, %d at a time", done, len(kinds), jobs)
    try:
        while True:
            taken = {*failed, *(job.cell.path for job in running)}
            todo = [cell for cell in _chosen(plan.ready(results), wanted) if cell.path not in taken]
            for cell in todo[: jobs - len(running)]:
                running.append(_start(cell, folder, command, jobs))
            if not running:
                return list(failed.values())
            job = _first_to_end(running)
            running.remove(job)
            results = read_results(plan, folder)
            if job.process.returncode == 0 and job.cell.path in results:
                seconds.append((job.cell.kind, time.monotonic() - job.start))
                left = [kind for path, kind in kinds.items() if path not in results and path not in failed]
                told = f"about {duration(remaining(seconds, left, jobs))} left" if left else "that was the last one"
                done, found = sum(path in results for path in kinds), _accuracy(results[job.cell.path])
                logger.info("study: %d of %d cells: %s%s; %s", done, len(kinds), job.cell.name, found, told)
            else:
                failed[job.cell.path] = failure = _failure(job, folder)
                logger.error("study: %s", failure.words())
    finally:
        _stop(running)


def read_results(plan: Plan, folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What the finished cells of a plan tell, by path; one made from something else is not finished."""
    found: dict[str, dict[str, Any]] = {}

    def add(cells: Iterable[Cell]) -> None:
        for cell in cells:
            with contextlib.suppress(OSError, ValueError):
                held = json.loads((folder / cell.path / RESULT).read_text())
                if held.get("made_from") == cell.made_from:
                    found[cell.path] = held

    add(plan.searches.values())
    for arm, trials in plan.trials.items():
        add(trials)
        add(plan.runs(arm, found))
    return found


def remaining(seconds: Sequence[tuple[Kind, float]], left: Sequence[Kind], jobs: int) -> float:
    """Seconds until cells of the kinds `left` are made, `jobs` at a time, by what those before took.

    Of a kind that none was of yet, the mean over all is taken; `seconds` is not empty.
    """

    def mean(kind: Kind) -> float:
        of_kind = [taken for other, taken in seconds if other == kind] or [taken for _, taken in seconds]
        return sum(of_kind) / len(of_kind)

    return sum(map(mean, left)) / min(jobs, max(1, len(left)))


def _chosen(cells: Sequence[Cell], wanted: Sequence[str] | None) -> list[Cell]:
    """Of the cells those that are wanted, or that wanted ones may wait for."""
    if wanted is None:
        return list(cells)
    arms = {pathlib.PurePosixPath(path).parent.name for path in wanted}
    return [
        cell for cell in cells if cell.path in wanted or (cell.kind == "trial" and cell.arm in arms) or not cell.arm
    ]


def _start(cell: Cell, folder: pathlib.Path, command: Command, jobs: int) -> _Job:
    path = folder / cell.path
    config = path.with_name(path.name + ".yaml")
    if config.exists() and made_from(cell.kind, load_experiment(config)) != cell.made_from:
        logger.info("study: %s is made again, because its tuned values are others now", cell.name)
        shutil.rmtree(path, ignore_errors=True)
    files.write_text(config, to_yaml(cell.experiment))
    logger.debug("study: starting %s", cell.name)
    with open(_log(cell, folder), "wb") as log:
        process = subprocess.Popen(
            command(cell, folder), stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment(jobs),
            process_group=0,  # Ctrl-C on a terminal goes to the runner alone, which stops its cells
        )  # fmt: skip
    return _Job(cell, process, time.monotonic())


def _environment(jobs: int) -> dict[str, str]:
    """The runner's own, with a share of the cores for each of several processes; and of a GPU, as much as it needs."""
    if jobs == 1:
        return dict(os.environ)
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    limits = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    return {**limits, "TF_FORCE_GPU_ALLOW_GROWTH": "true", **os.environ}


def _first_to_end(running: Sequence[_Job]) -> _Job:
    while True:
        for job in running:
            if job.process.poll() is not None:
                assert job.process.stdin is not None  # it is a pipe
                job.process.stdin.close()
                return job
        time.sleep(POLL_SECONDS)


def _stop(running: Sequence[_Job]) -> None:
    """End what runs, letting it save."""
    for job in running:
        with contextlib.suppress(OSError):
            job.process.terminate()
    end = time.monotonic() + GRACE_SECONDS
    for job in running:
        assert job.process.stdin is not None  # it is a pipe
        job.process.stdin.close()
        try:
            job.process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            job.process.kill()
            job.process.wait()


def _accuracy(result: Mapping[str, Any]) -> str:
    for name, label in (("mean_class_accuracy", "test"), ("validation", "validation")):
        if result.get(name) is not None:
            return f", mean class accuracy {100 * result[name]:.1f} % ({label})"
    return ""


def _failure(job: _Job, folder: pathlib.Path) -> Failure:
    log, code = _log(job.cell, folder), job.process.returncode
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    reason = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    if code == 0:
        reason = f"it left no {RESULT}"
    elif code > 0 and lines:
        reason = lines[-1].strip()[:300]
    return Failure(job.cell.path, job.cell.name, reason, str(log))


def _log(cell: Cell, folder: pathlib.Path) -> pathlib.Path:
    path = folder / cell.path
    return path.with_name(path.name + ".log")
