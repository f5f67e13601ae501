"""What a report shows, as plain values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sjft_tf.selection import Outcome, outcome


class DomainSummary(NamedTuple):
    """Name and size of one domain; `n_rejected` files could not be used."""

    name: str
    n_images: int
    n_classes: int
    n_rejected: int = 0


class Shot(NamedTuple):
    """An image, uint8 `[h, w, 3]`, its class name, and a line to stand under both."""

    image: np.ndarray
    label: str
    detail: str = ""


class GalleryRow(NamedTuple):
    """A target image, and some of its neighbors by their rank; 1 is the nearest."""

    target: Shot
    neighbors: Mapping[int, Shot]


class Borrowing(NamedTuple):
    """Who is borrowed from, with K of the last round. `sjft_tf.retrieval.borrowing` has the functions for these numbers."""

    occurrences: np.ndarray  # `[n_source]` int, the target images that have a source image within their first K
    skewness: float  # of `occurrences`
    never_by_chance: float  # share of source images that random lists of the same K would leave out, in 0..1
    skewness_by_chance: float  # of occurrences in random lists of the same K
    class_names: Sequence[str]  # `[C]`, of the source's classes that have images
    class_shares: np.ndarray  # `[C]` float, of a class in all pairs of a target image and a source image in its first K
    class_expected: np.ndarray  # `[C]` float above 0, the share of a class in the source images
    hubs: Sequence[Shot] = ()  # the source images of most occurrences, most first; about eight fill a row of the page


class Leaked(NamedTuple):
    """Source images that other domains have, too. A pair is a source image and the image of another domain."""

    n_source: int  # images of the source before
    n_exact: int  # left out because their bytes are those of another domain's image
    n_near: int  # left out because they look like one
    roles: Sequence[str]  # of the other domains
    limit: float  # squared distance of two signatures below which two images count as one
    pairs: Mapping[
        str, Sequence[tuple[Shot, Shot]]
    ]  # some pairs by what became of them; groups without any are left out


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that `write_report` shows. What a run does not have is left empty, and its section is left out.

    Rounds count from 0 here, on the page from 1.
    """

    name: str  # of the run
    mode: str  # how source images were chosen, one of `sjft_tf.selection.MODES`
    domains: Mapping[str, DomainSummary]  # by "target" and, where there is one, "validation", "test", "source"
    # The objects of `history.jsonl`, one a round, in order. Of the optional keys, "warnings" is a list of sentences and
    # "gradients" has the norms of both losses' gradients on the trunk, "target" and "source", and their "cosine".
    history: Sequence[Mapping[str, Any]] = ()
    rounds_planned: int | None = None  # more than `history` has: the run is in training; None: training is over
    counts_per_round: Sequence[np.ndarray] = ()  # K of every target image in each round, `[n_target]` int
    entropies_per_round: Sequence[np.ndarray] = ()  # Eq. (2) in nats after each round, `[n_target]` float
    correct_per_round: Sequence[np.ndarray] = ()  # whether the top class was the label after it, `[n_target]` bool
    delta: float = 0.1  # nats; a correct image of this entropy or more counts as uncertain
    # `{"round", "mean_class_accuracy", "accuracy"}` on the test domain, one a round, in order
    test_rounds: Sequence[Mapping[str, Any]] = ()
    test_view: str = "center"  # how test images were seen: "center", "flip", "ten" or "multiscale"
    ece: float | None = None  # expected calibration error on the test domain, in 0..1
    # `{"low", "high", "n", "confidence", "accuracy"}` of the same answers, one a bin of confidence, in order; the last
    # two are None in empty bins
    reliability: Sequence[Mapping[str, Any]] = ()
    best_round: int | None = None  # after which validation accuracy was highest; None without validation
    # The round whose model is exported and whose answers `ece`, `reliability` and `confusion` describe; None: the last.
    exported_round: int | None = None
    class_names: Sequence[str] = ()  # of the target, `[C]`
    confusion: np.ndarray | None = None  # test images by true class (row) and predicted class (column), `[C, C]` int
    semantic: bool = False  # whether images were compared by feature vectors, and not by low-level statistics
    gallery: Sequence[GalleryRow] = ()  # some target images with neighbors; six to ten keep the page small
    borrowing: Borrowing | None = None  # in the last round
    certificate: Mapping[str, Any] | None = None  # of an approximate search, as in `retrieval.json`; else None
    leaked: Leaked | None = None  # where the source was searched for images of other domains
    specificity: str = ""  # how much the lists of different target images have in common, in sentences
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)  # wall time by stage, in their order
    config: str = ""  # the resolved configuration as YAML
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)  # by package

    @property
    def in_training(self) -> bool:
        """Whether rounds are still to come."""
        return self.rounds_planned is not None and len(self.history) < self.rounds_planned

    @property
    def reaches(self) -> bool:
        """Whether training drew on a source, so that it can be said how much of it was in reach."""
        return self.mode != "none" and bool(self.history) and all(entry.get("reachable") for entry in self.history)

    @property
    def final(self) -> Mapping[str, Any] | None:
        """The test figures of the round whose model is exported."""
        number = -1 if self.exported_round is None else self.exported_round
        return self.test_rounds[number] if self.test_rounds else None

    @property
    def outcome(self) -> Outcome | None:
        """How many target images were wrong, uncertain and settled after the last round."""
        if not self.correct_per_round:
            return None
        return outcome(self.entropies_per_round[-1], self.correct_per_round[-1], self.delta)
