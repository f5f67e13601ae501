"""How a source is searched approximately."""

import dataclasses
import math

from sjft_tf import files
from sjft_tf.errors import InputError

_FORMAT = "scann search 2"
_BUILT, _ASKED, _RANKED = 800, 0.17, 3.8  # see `choose_method`
_WORTH = 2.0


@dataclasses.dataclass(frozen=True)
class ScannOptions:
    """How a source is searched approximately.

    Attributes:
        dimensions: numbers of an embedded vector.
        candidates: source images proposed for each target at first; 1.15 depth, if None.
        min_recall: what recall@depth must reach with a confidence of 95 %.
        sample_targets: targets whose recall is measured; 10 / (1 - min_recall), if None: with half as many, not even a
            search that finds everything could be sure of it.
        fit_targets, fit_sources: images of either side that the embedding is fitted on, at most.
        memory_gb: what the index and, where they fit, all source descriptors may take, in 10^9 bytes.
        seed: of all samples.
    """

    dimensions: int = 160
    candidates: int | None = None
    min_recall: float = 0.95
    sample_targets: int | None = None
    fit_targets: int = 1024
    fit_sources: int = 4096
    memory_gb: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("dimensions", "candidates", "sample_targets", "fit_targets", "fit_sources"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        if not 0 <= self.min_recall < 1:
            raise InputError(f"min_recall is {self.min_recall}; it must be at least 0 and below 1")

    @property
    def n_sampled(self) -> int:
        """Targets whose recall is measured, if there are as many."""
        return self.sample_targets or math.ceil(10 / (1 - self.min_recall))

    def made_from(self, made_from: str, depth: int) -> str:
        """Hash of what an index is made from; memory changes nothing of it."""
        return files.digest(_FORMAT, made_from, depth, {**dataclasses.asdict(self), "memory_gb": None})


def choose_method(n_target: int, n_source: int, depth: int, *, obstacle: str = "") -> tuple[str, str]:
    """Exact or approximate search, by their time.

    The time of an index, in units of an exact search for one target image: building takes `_BUILT` of them whatever the
    number of targets (the certificate's exact lists and the embedding), and then each target `_ASKED` to be proposed
    candidates and `_RANKED sqrt(depth / n_source)` to rank them, because the wider the lists, the more of the source a
    group of targets proposes. Measured with Gabor descriptors, see docs/results/retrieval.md.

    Args:
        n_target: number of target images.
        n_source: number of source images.
        depth: neighbors of each target image.
        obstacle: why there can be no index, if so.

    Returns:
        "scann" where that is at least twice as fast, since it may miss neighbors, else "exact"; and why, in words.
    """
    if obstacle:
        return "exact", obstacle
    each = _ASKED + _RANKED * math.sqrt(min(1, depth / n_source))
    gain = n_target / (_BUILT + each * n_target)
    sizes = f"{depth:,} neighbors of {n_target:,} target images among {n_source:,} source images"
    method, relation = ("scann", "at least") if gain >= _WORTH else ("exact", "less than")
    return method, f"an index would be {gain:.1f} times as fast, {relation} {_WORTH:g}, for {sizes}"
