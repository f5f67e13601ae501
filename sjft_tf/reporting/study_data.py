"""What the page and the table of a study show, as plain values. Accuracies are mean class accuracies, in percent."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from sjft_tf.evaluation import PairedDifference

LEVEL = 0.05


class RoundPoint(NamedTuple):
    """The end of a round, as the mean over an arm's seeds."""

    target_images: float  # seen until then
    train_seconds: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class ArmSummary:
    """An arm on the test domain."""

    name: str
    overrides: Mapping[str, Any]  # by dotted key
    by_seed: Mapping[int, float]  # accuracy, of the seeds that are finished
    missing: Sequence[int] = ()  # the other seeds
    target_images: int | None = None  # seen in training; None: no seed is finished
    train_seconds: float | None = None  # of a run, on average
    tuned: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # chosen values, by dotted key
    n_trials: int = 0
    n_settings: int = 0  # distinct ones among the trials
    n_diverged: int = 0  # trials whose training diverged
    validation: float | None = None  # accuracy of the chosen setting's trials
    rounds: Sequence[RoundPoint] = ()
    at_edge: Sequence[str] = ()  # keys whose chosen number is the least or the largest of the grid

    @property
    def mean(self) -> float | None:
        """Over the seeds; None without any."""
        return float(np.mean(list(self.by_seed.values()))) if self.by_seed else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean over seeds; None of fewer than two."""
        values = list(self.by_seed.values())
        return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


@dataclasses.dataclass(frozen=True)
class Contrast:
    """The first arm less the second.

    Attributes:
        n: pairs of seeds, or test images.
        difference: in percentage points; None where there are too few pairs.
        adjusted: `difference.p` after Holm's correction for all contrasts of the study.
    """

    name: str
    first: str
    second: str
    over: Literal["seeds", "images"]
    n: int
    difference: PairedDifference | None = None
    adjusted: float | None = None

    @property
    def label(self) -> str:
        """`borrowing (random - plain)`; the arms alone where it has no name."""
        arms = f"{self.first} - {self.second}"
        return f"{self.name} ({arms})" if self.name else arms

    @property
    def verdict(self) -> str:
        """What the interval shows: "pays", "hurts", "not shown", or "not measured"."""
        if self.difference is None:
            return "not measured"
        return "pays" if self.difference.low > 0 else "hurts" if self.difference.high < 0 else "not shown"

    @property
    def holds(self) -> bool:
        """Whether what the interval shows stands after Holm's correction."""
        return self.verdict in ("pays", "hurts") and self.adjusted is not None and self.adjusted < LEVEL

    def words(self) -> str:
        """`borrowing (random - plain): +1.2 [0.4, 2.0], pays`."""
        if self.difference is None:
            there = "is 1 pair" if self.n == 1 else f"are {self.n} pairs"
            return f"{self.label}: {self.verdict}, there {there} of seeds"
        d = self.difference
        said = f"{self.label}: {d.mean:+.1f} [{d.low:.1f}, {d.high:.1f}], {self.verdict}"
        if self.verdict != "not shown" and not self.holds:
            said += f" by itself, but not after Holm's correction (p = {self.adjusted:.2g})"
        return said


@dataclasses.dataclass(frozen=True)
class StudyData:
    """Everything that a study shows."""

    name: str
    seeds: Sequence[int]
    arms: Sequence[ArmSummary]
    contrasts: Sequence[Contrast] = ()
    failures: Sequence[str] = ()  # a sentence each
    n_cells: int = 0
    n_finished: int = 0
    budget: int | None = None  # target images that every arm may see
    n_test: int | None = None  # test images
    seconds: float = 0.0  # of all cells
    machines: Sequence[str] = ()  # instruction sets that cells were made with
    config: str = ""  # the study as YAML

    def words(self) -> list[str]:
        """The reading: a line a contrast, then what they have in common."""
        lines = [contrast.words() for contrast in self.contrasts]
        return [*lines, *self.remarks()]

    def remarks(self) -> list[str]:
        """Sentences on how the intervals were made, and what keeps the arms from being alike."""
        said = []
        measured = [contrast for contrast in self.contrasts if contrast.difference is not None]
        if any(contrast.over == "images" for contrast in measured):
            said.append(
                "Intervals are over test images, by a bootstrap, for a single seed: they say nothing of other seeds."
            )
        elif measured:
            n = " or ".join(str(n) for n in sorted({contrast.n for contrast in measured}))
            said.append(f"Intervals are 95 % by Student's t over {n} seeds, paired.")
        if len(measured) > 1:
            holding = [contrast.label for contrast in measured if contrast.holds]
            which = f"these hold: {', '.join(holding)}" if holding else "none holds"
            said.append(f"{len(measured)} comparisons were made; after Holm's correction for that, at 5 %, {which}.")
        edges = {key: [arm.name for arm in self.arms if key in arm.at_edge] for arm in self.arms for key in arm.at_edge}
        for key, names in edges.items():
            said.append(
                f"The best {key} is at the grid's edge for {', '.join(names)}, so one beyond may be better: widen the grid."
            )
        seen = {arm.target_images for arm in self.arms if arm.target_images is not None}
        if len(seen) > 1:
            said.append(
                f"Arms saw from {min(seen):,} to {max(seen):,} target images in training, so differences are also those "
                "of its length."
            )
        if len(self.machines) > 1:
            said.append(
                f"Cells were made with different arithmetics ({', '.join(self.machines)}), so rounding differs."
            )
        return said
