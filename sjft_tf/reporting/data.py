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

    `image` is uint8 `[h, w, 3]`, `label` its class name, `divergence` Eq. (1) in nats, or of feature vectors the squared
    distance, which has no unit.
    """

    rank: int
    image: np.ndarray
    label: str
    divergence: float
    unit: str = "nats"


@dataclasses.dataclass(frozen=True)
class GalleryRow:
    """A target image, uint8 `[h, w, 3]`, with its class name and some of its neighbors in ascending rank."""

    image: np.ndarray
    label: str
    neighbors: Sequence[Neighbor]


@dataclasses.dataclass(frozen=True)
class Hub:
    """A source image that is a neighbor of many target images.

    `image` is uint8 `[h, w, 3]`, `label` its class name, `n_targets` the number of target images that have it within
    their first K.
    """

    image: np.ndarray
    label: str
    n_targets: int


@dataclasses.dataclass(frozen=True, eq=False)
class Borrowing:
    """Who is borrowed from, with K of the last round. `sjft_tf.retrieval` has the functions for these numbers.

    Attributes:
        occurrences: `[n_source]` int, the target images that have a source image within their first K.
        skewness: that of `occurrences`.
        never_by_chance: the share of source images that random lists of the same K would leave out, in 0..1.
        skewness_by_chance: the skewness of occurrences in random lists of the same K.
        class_names: `[C]` names of the source's classes that have images.
        class_shares: `[C]` float, the share of a class in all pairs of a target image and a source image within its
            first K.
        class_expected: `[C]` float above 0, its share of the source images.
        hubs: the source images of most occurrences, most first; about eight fill a row of the page.

    Raises:
        InputError: the fields about classes disagree in length, or a class has no images.
    """

    occurrences: np.ndarray
    skewness: float
    never_by_chance: float
    skewness_by_chance: float
    class_names: Sequence[str]
    class_shares: np.ndarray
    class_expected: np.ndarray
    hubs: Sequence[Hub] = ()

    def __post_init__(self) -> None:
        lengths = [len(self.class_names), len(self.class_shares), len(self.class_expected)]
        if len(set(lengths)) > 1:
            raise InputError(
                f"names, shares and expected shares are of {lengths} source classes; there must be as many"
            )
        if (self.class_expected <= 0).any():
            name = self.class_names[int(self.class_expected.argmin())]
            raise InputError(f"the source class {name!r} has no images; leave it out")


@dataclasses.dataclass(frozen=True)
class Certificate:
    """How much an approximate search finds: shares of the true first `depth` neighbors that its lists hold, in 0..1.

    Attributes:
        recall: the mean share over a random sample of target images.
        low, high: its 95 % confidence interval.
        n_targets: size of the sample.
        depth: neighbors of each target image.
        candidates: source images that the index proposed for each target image, of which `depth` were kept.
        min_recall: the recall that was required.
    """

    recall: float
    low: float
    high: float
    n_targets: int
    depth: int
    candidates: int
    min_recall: float


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that `write_report` shows. What a run does not have is left empty, and its section is left out.

    Attributes:
        name: the run's name.
        mode: how source images were chosen, one of `sjft_tf.selection.MODES`.
        domains: summaries under the keys "target" and, where there is one, "validation", "test", "source".
        history: the objects of `history.jsonl`, one a round, in order; there rounds count from 0, on the page from 1.
            Of the optional keys, "warnings" is a list of sentences and "gradients" has the norms of both losses'
            gradients on the trunk, "target" and "source", and their "cosine".
        rounds_planned: how many rounds are to be trained; more than there are in `history` make a page of a run in
            training. None: training is over.
        counts_per_round: K of every target image in each round, `[n_target]` int.
        entropies_per_round: Eq. (2) in nats after each round, `[n_target]` float.
        correct_per_round: whether the top class was the label after each round, `[n_target]` bool.
        delta: entropy in nats from which a correct image counts as uncertain.
        test_rounds: `{"round", "mean_class_accuracy", "accuracy"}` on the test domain, one a round, in order.
        test_view: how test images were seen: "center", "flip", "ten" or "multiscale".
        ece: expected calibration error on the test domain, in 0..1.
        reliability: `{"low", "high", "n", "confidence", "accuracy"}` of the same answers, one a bin of confidence, in
            order; the last two are None in empty bins.
        best_round: the round, from 0, after which validation accuracy was highest; None without validation.
        exported_round: the round, from 0, whose model is exported and whose answers `ece`, `reliability` and `confusion`
            describe; None: the last one.
        class_names: names of the target's classes, `[C]`.
        confusion: test images by true class (row) and predicted class (column), `[C, C]` int.
        semantic: whether images were compared by feature vectors, and not by low-level statistics.
        gallery: some target images with neighbors; six to ten keep the page small.
        borrowing: who is borrowed from in the last round; needs `counts_per_round`.
        certificate: what an approximate search found; None where the search was exact.
        specificity: how much the lists of different target images have in common, in sentences.
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
    rounds_planned: int | None = None
    counts_per_round: Sequence[np.ndarray] = ()
    entropies_per_round: Sequence[np.ndarray] = ()
    correct_per_round: Sequence[np.ndarray] = ()
    delta: float = 0.1
    test_rounds: Sequence[Mapping[str, Any]] = ()
    test_view: str = "center"
    ece: float | None = None
    reliability: Sequence[Mapping[str, Any]] = ()
    best_round: int | None = None
    exported_round: int | None = None
    class_names: Sequence[str] = ()
    confusion: np.ndarray | None = None
    semantic: bool = False
    gallery: Sequence[GalleryRow] = ()
    borrowing: Borrowing | None = None
    certificate: Certificate | None = None
    specificity: str = ""
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
        if self.borrowing is not None:
            n_pairs = int(self.borrowing.occurrences.sum())
            n_reach = int(self.counts_per_round[-1].sum()) if self.counts_per_round else 0
            if n_pairs != n_reach:
                raise InputError(f"occurrences of source images sum to {n_pairs}, K of the last round to {n_reach}")

    @property
    def in_training(self) -> bool:
        """Whether rounds are still to come."""
        return self.rounds_planned is not None and len(self.history) < self.rounds_planned
