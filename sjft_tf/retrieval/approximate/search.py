"""Approximate search with a certificate: an index proposes source images, the divergences of exact search rank them.

The source is described once. Of a first seeded sample of it the embedding is fitted; then every block is embedded, and
searched exactly for a seeded sample of the targets. Against their exact lists the number of candidates is settled, so that
what is promised of the recall has been measured on the very index that is used.
"""

import logging
import math

import numpy as np

from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError, check_at_least
from sjft_tf.progress import Progress
from sjft_tf.retrieval.approximate.certificate import Certificate, mean_interval, recalls
from sjft_tf.retrieval.approximate.embedding import fit_embedding
from sjft_tf.retrieval.approximate.index import ScannIndex, index_bytes, leaves_for, scann_operations
from sjft_tf.retrieval.approximate.rerank import near_each_other, rerank
from sjft_tf.retrieval.exact import ExactSearch
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable

_logger = logging.getLogger(__name__)

_FIT_TARGETS, _FIT_SOURCES = 1024, 4096  # images of either side that the embedding is fitted on, at most
_BUILT, _ASKED, _RANKED, _WORTH = 2700, 0.085, 5.2, 2.0  # see `choose_method`
_FIRST, _GROWTH, _DEEPEST = 1.15, 1.5, 10  # candidates: times depth at first, growth where recall is too low, the most


def choose_method(n_target: int, n_source: int, depth: int, *, obstacle: str = "") -> tuple[str, str]:
    """Exact or approximate search, by their time.

    The time of an index, in units of an exact search for one target image: building takes `_BUILT` of them whatever the
    number of targets (the certificate's exact lists and the embedding), and then each target `_ASKED` to be proposed
    candidates and `_RANKED sqrt(depth / n_source)` to rank them, because the wider the lists, the more of the source a
    group of targets proposes. Fitted to Gabor and AlexNet descriptors, see docs/results/retrieval.md.

    Args:
        n_target, n_source, depth: numbers of target images, of source images, and of neighbors of each target image.
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


class ScannSearch:
    """A source that is indexed for a target, with its recall measured.

    Args:
        targets, measure: as in `ExactSearch`.
        source: the images to search.
        depth: neighbors of each target image; no more than there are source images are found.
        dimensions: numbers of an embedded image, beside the common one.
        min_recall: what recall@depth must reach with a confidence of 95 %.
        memory_gb: what the index and, where they fit, all source descriptors may take, in 10^9 bytes.
        progress: told of the source images described, without those of the first sample.

    Attributes:
        certificate: what the recall is.

    Raises:
        InputError: ScaNN cannot be imported, the descriptors do not belong to the measure, a value is out of range, the
            memory does not suffice, or the recall stays too low.
    """

    def __init__(
        self,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        depth: int,
        dimensions: int = 160,
        min_recall: float = 0.95,
        memory_gb: float = 4.0,
        progress: Progress | None = None,
    ) -> None:
        scann_operations()  # before hours of describing
        check_at_least(1, depth=depth, dimensions=dimensions)
        if not 0 <= min_recall < 1:
            raise InputError(f"min_recall is {min_recall}; it must be at least 0 and below 1")
        measure.check(targets, "target", targets)
        self._targets, self._source = targets, source
        rng = np.random.default_rng(0)
        # with half as many, not even a search that finds everything could be sure of the recall
        sampled = rng.permutation(len(targets))[: math.ceil(10 / (1 - min_recall))]
        fitted = np.sort(rng.permutation(len(targets))[:_FIT_TARGETS])
        first = source.at(np.sort(rng.permutation(len(source))[:_FIT_SOURCES]))
        measure.check(first, "source", targets)
        vectors, self._held = _rooms(source, first, dimensions, memory_gb)
        self._embedding = fit_embedding(targets[fitted], first, measure.lift(targets), dimensions=dimensions)
        exact = ExactSearch(targets[sampled], measure, depth=min(depth, len(source)))
        vectors = vectors[:, : self._embedding.dimensions]
        for start, descriptors in source.blocks(progress=progress):
            exact.add(start, descriptors)
            rows = slice(start, start + len(descriptors))
            vectors[rows] = self._embedding.sources(descriptors)
            if self._held is not None:
                self._held[rows] = descriptors
        self._index = ScannIndex(np.ascontiguousarray(vectors), leaves_for(len(vectors)))
        queries = self._embedding.targets(targets[sampled])
        self.certificate = _certify(self._index, queries, exact.table(), len(source), len(targets), min_recall)

    def table(self) -> NeighborTable:
        """The nearest of the proposed source images, with the divergences of exact search but for rounding."""
        queries = self._embedding.targets(self._targets)
        candidates = self._index.search(queries, self.certificate.candidates)
        sources = self._source.at if self._held is None else self._held.__getitem__
        order, depth = near_each_other(queries), self.certificate.depth
        return rerank(self._targets, candidates, order, self._embedding.lift, sources, depth=depth)


def _rooms(
    source: DescribedDomain, first: np.ndarray, dimensions: int, memory_gb: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Room for embedded sources and, where the memory suffices, for their descriptors; says what it takes."""
    n, dimensions = len(source), dimensions + 1
    needed, described = index_bytes(n, dimensions) / 1e9, n * first[0].nbytes / 1e9
    if needed > memory_gb:
        raise InputError(
            f"retrieval.memory_gb is {memory_gb:g}; an index of {n:,} source images with {dimensions} numbers each needs "
            f"{needed:.2g}: raise it, take fewer dimensions, or set retrieval.method to exact"
        )
    fits = needed + described <= memory_gb
    _logger.info(
        "scann: an index of %d source images, %d numbers each, takes %.2g GB; their descriptors take %.2g GB and %s",
        n, dimensions, needed, described,
        "are kept in memory" if fits else "are read, or described, again when they are ranked",
    )  # fmt: skip
    held = np.empty((n, *first.shape[1:]), first.dtype) if fits else None
    return np.empty((n, dimensions), np.float32), held


def _certify(
    index: ScannIndex, queries: np.ndarray, exact: NeighborTable, n_source: int, n_target: int, min_recall: float
) -> Certificate:
    """The recall with as few candidates as suffice."""
    deepest = min(n_source, _DEEPEST * exact.depth)
    candidates = min(math.ceil(_FIRST * exact.depth), deepest)
    while True:
        found = recalls(index.search(queries, candidates), exact.indices)
        # nothing is left to chance where every source image is a candidate
        low, high = mean_interval(found, len(found) if candidates == n_source else n_target)
        certificate = Certificate(float(found.mean()), low, high, len(found), exact.depth, candidates, min_recall)
        _logger.info("scann: %s", certificate.summary())
        if low >= min_recall:
            return certificate
        if candidates == deepest:
            raise InputError(
                f"with {certificate.summary()}, the recall is not surely {min_recall:g}: raise retrieval.dimensions, "
                "lower retrieval.min_recall, or set retrieval.method to exact"
            )
        candidates = min(math.ceil(_GROWTH * candidates), deepest)
