"""What a report shows, as plain values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.selection import MODES


@dataclasses.dataclass(frozen=True)
class DomainSummary:
    """Name and size of one domain; `n_rejected` files could not be used."""

    name: str
    n_images: int
    n_classes: int
    n_rejected: int = 0


@dataclasses.dataclass(frozen=True)
class Neighbor:
    """A source image at `rank` (1 is the nearest) of a target image's row of the neighbor table.

    `image` is uint8 `[h, w, 3]`, `label` its class name, `divergence` Eq. (1) in nats.
    """

    rank: int
    image: np.ndarray
    label: str
    divergence: float


@dataclasses.dataclass(frozen=True)
class GalleryRow:
    """A target image, uint8 `[h, w, 3]`, with its class name and some of its neighbors in ascending rank."""

    image: np.ndarray
    label: str
    neighbors: Sequence[Neighbor]


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that `write_report` shows. What a run does not have is left empty, and its section is left out.

    Attributes:
        name: the run's name.
        mode: how source images were chosen, one of `sjft_tf.selection.MODES`.
        domains: summaries under the keys "target" and, where there is one, "validation", "test", "source".
        history: the objects of `history.jsonl`, one a round, in order; there rounds count from 0, on the page from 1.
        counts_per_round: K of every target image in each round, `[n_target]` int.
        entropies_per_round: Eq. (2) in nats after each round, `[n_target]` float.
        correct_per_round: whether the top class was the label after each round, `[n_target]` bool.
        delta: entropy in nats from which a correct image counts as uncertain.
        test_rounds: `{"round", "mean_class_accuracy", "accuracy"}` on the test domain, one a round, in order; the last
            is the result.
        test_view: how test images were seen: "center" or "flip".
        class_names: names of the target's classes, `[C]`.
        confusion: test images by true class (row) and predicted class (column), `[C, C]` int.
        gallery: some target images with neighbors; six to ten keep the page small.
        seconds: wall time by stage, in the order of the stages.
        notes: things the reader should know, one sentence each ("K was capped at 5,100").
        config: the resolved configuration as YAML.
        versions: version by package.

    Raises:
        InputError: there is no target domain, `mode` is unknown, or two fields disagree in length.
    """

    name: str
    mode: str
    domains: Mapping[str, DomainSummary]
    history: Sequence[Mapping[str, Any]] = ()
    counts_per_round: Sequence[np.ndarray] = ()
    entropies_per_round: Sequence[np.ndarray] = ()
    correct_per_round: Sequence[np.ndarray] = ()
    delta: float = 0.1
    test_rounds: Sequence[Mapping[str, Any]] = ()
    test_view: str = "center"
    class_names: Sequence[str] = ()
    confusion: np.ndarray | None = None
    gallery: Sequence[GalleryRow] = ()
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    config: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if "target" not in self.domains:
            raise InputError(f"the report's domains are {list(self.domains)}; one must be 'target'")
        if self.mode not in MODES:
            raise InputError(f"the report's mode is {self.mode!r}; it must be one of {', '.join(MODES)}")
        if len(self.entropies_per_round) != len(self.correct_per_round):
            raise InputError(
                f"there are entropies of {len(self.entropies_per_round)} rounds and outcomes of "
                f"{len(self.correct_per_round)}; there must be as many of both"
            )
        n_classes = len(self.class_names)
        if self.confusion is not None and self.confusion.shape != (n_classes, n_classes):
            raise InputError(
                f"the confusion matrix is {list(self.confusion.shape)}; with {n_classes} class names it must be "
                f"{[n_classes, n_classes]}"
            )
