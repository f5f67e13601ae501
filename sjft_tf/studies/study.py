"""A study: the same experiment in several arms (selection modes) and with several seeds, from one neighbor table."""

import dataclasses
import logging
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from sjft_tf import files, pipeline
from sjft_tf.config import Experiment
from sjft_tf.errors import InputError
from sjft_tf.evaluation import PairedDifference, paired_difference
from sjft_tf.selection import MODES
from sjft_tf.workspace import RunFolder, Workspace

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ArmResult:
    """Results of one arm on the test domain.

    Attributes:
        mode: the arm's selection mode.
        seeds: `[n]`, in the order of the other fields.
        mean_class_accuracy: `[n]` in `[0, 1]`, after the last round.
        accuracy: `[n]`, likewise.
        train_seconds: `[n]`.
    """

    mode: str
    seeds: tuple[int, ...]
    mean_class_accuracy: tuple[float, ...]
    accuracy: tuple[float, ...]
    train_seconds: tuple[float, ...]

    def row(self) -> str:
        """One line: mean and spread (half of max - min) of the mean class accuracy, in percent."""
        shares = 100 * np.array(self.mean_class_accuracy)
        each = ", ".join(f"{share:.1f}" for share in shares)
        seconds = np.mean(self.train_seconds)
        return f"{self.mode:10s} {shares.mean():6.1f} ± {np.ptp(shares) / 2:.1f}   ({each})   {seconds:.0f} s a run"

    def minus(self, other: "ArmResult") -> PairedDifference:
        """By how much this arm's mean class accuracy is higher, in percentage points, seed by seed.

        Raises:
            InputError: other seeds, or fewer than two.
        """
        if self.seeds != other.seeds:
            raise InputError(f"seeds {self.seeds} of {self.mode} and {other.seeds} of {other.mode} make no pairs")
        return paired_difference(*((100 * np.array(arm.mean_class_accuracy)).tolist() for arm in (self, other)))


def study(experiment: Experiment, folder: pathlib.Path, modes: Sequence[str], seeds: Sequence[int]) -> list[ArmResult]:
    """Train and measure every arm with every seed; each is a run folder `MODE-seed-N` that resumes on its own.

    Args:
        experiment: its selection mode and seed are replaced.
        folder: where the run folders go; `study.json` holds the results.
        modes: the arms.
        seeds: one run each.

    Raises:
        InputError: an unknown mode, or no test domain.
    """
    for mode in modes:
        if mode not in MODES:
            raise InputError(f"arm {mode!r} is none of {', '.join(MODES)}")
    if experiment.test is None:
        raise InputError("a study compares accuracies on the test domain; the config has none")
    shared = None
    if set(modes) & {"selective", "random"}:
        shared = RunFolder(folder / "shared")
        with shared.locked():
            workspace = Workspace(arm(experiment, "selective", experiment.seed), shared)
            pipeline.prepare(workspace)
            pipeline.run(workspace, until="search")
    results = []
    for i, mode in enumerate(modes):
        measured = []
        for number, seed in enumerate(seeds, 1 + i * len(seeds)):
            logger.info("study: run %d of %d: %s, seed %d", number, len(modes) * len(seeds), mode, seed)
            measured.append(_measured(arm(experiment, mode, seed), folder, shared))
        results.append(ArmResult(mode, tuple(seeds), *zip(*measured, strict=True)))
    files.write_json(folder / "study.json", [dataclasses.asdict(result) for result in results])
    return results


def arm(experiment: Experiment, mode: str, seed: int) -> Experiment:
    """The experiment in one arm and with one seed."""
    return experiment.replaced(seed=seed, selection=experiment.selection.replaced(mode=mode))


def arm_folder(folder: pathlib.Path, mode: str, seed: int) -> RunFolder:
    """Where a study keeps the run of one arm and seed."""
    return RunFolder(folder / f"{mode}-seed-{seed}")


def _measured(experiment: Experiment, folder: pathlib.Path, shared: RunFolder | None) -> tuple[float, float, float]:
    """Mean class accuracy, accuracy, and seconds of training."""
    run_folder = arm_folder(folder, experiment.selection.mode, experiment.seed)
    workspace = Workspace(experiment, run_folder)
    with run_folder.locked():
        if shared is not None and not run_folder.config.exists():
            _share(shared, run_folder)
        pipeline.prepare(workspace)
        results = pipeline.run(workspace, until="evaluate")
    assert results.evaluation is not None  # it was run until there
    final, seconds = results.evaluation.metrics["test"]["final"], run_folder.recorded_stages()["train"]["seconds"]
    return final["mean_class_accuracy"], final["accuracy"], seconds


def _share(given: RunFolder, taker: RunFolder) -> None:
    """Copy what does not depend on arm and seed; stages check it by its hash as if it were their own."""
    scans = sorted((given.path / "domains").glob("*.npz"))
    for path in [*scans, given.bin_edges, given.neighbors, given.retrieval]:
        with open(path, "rb") as source, files.replacing(taker.path / path.relative_to(given.path)) as copy:
            shutil.copyfileobj(source, copy)
