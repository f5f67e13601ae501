"""Approximate search with a certificate: an index proposes source images, the divergences of exact search rank them.

The source is described once. Of a first seeded sample of it the embedding is fitted; then every block is embedded, and
searched exactly for a seeded sample of the targets. Against their exact lists the number of candidates is settled, so that
what is promised of the recall has been measured on the very index that is used.
"""

import dataclasses
import logging
import os
import pathlib

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.approximate.certificate import Certificate, mean_interval, recalls
from sjft_tf.retrieval.approximate.embedding import Embedding, fit_embedding
from sjft_tf.retrieval.approximate.index import ScannIndex, index_bytes, kind_for, scann_operations
from sjft_tf.retrieval.approximate.options import ScannOptions
from sjft_tf.retrieval.approximate.rerank import near_each_other, rerank
from sjft_tf.retrieval.exact import ExactSearch, check_depth
from sjft_tf.retrieval.lifting import Lift
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable

_logger = logging.getLogger(__name__)

_GROWTH, _DEEPEST = 1.5, 10  # of the candidates, when recall is too low; times depth, at most
_EMBEDDING = "embedding.npz"


class ScannSearch:
    """A source that has been indexed; made by `open`, `build` or `load`.

    Attributes:
        certificate: what its recall is.
    """

    def __init__(
        self,
        source: DescribedDomain,
        lift: Lift,
        embedding: Embedding,
        index: ScannIndex,
        certificate: Certificate,
        held: np.ndarray | None = None,
    ) -> None:
        self._source, self._lift, self._embedding, self._index = source, lift, embedding, index
        self.certificate, self._held = certificate, held

    @classmethod
    def open(
        cls,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        depth: int,
        options: ScannOptions,
        folder: str | os.PathLike[str],
        made_from: str,
        progress: Progress | None = None,
    ) -> "ScannSearch":
        """The search that `folder` keeps; built and left there if it keeps none of these inputs.

        Args:
            targets: as in `build`; so are `source`, `measure`, `depth`, `options` and `progress`.
            folder: the index's own.
            made_from: hash of target, source, describer and measure.
        """
        made_from = options.made_from(made_from, depth)
        held = cls.load(targets, source, measure, folder=folder, made_from=made_from)
        if held is not None:
            return held
        search = cls.build(targets, source, measure, depth=depth, options=options, progress=progress)
        search.save(folder, made_from)
        return search

    @classmethod
    def build(
        cls,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        depth: int,
        options: ScannOptions,
        progress: Progress | None = None,
    ) -> "ScannSearch":
        """Index a source for these targets, and measure its recall.

        Args:
            targets: `[n_target, ...]` descriptors.
            source: the images to search.
            measure: by what descriptors are compared.
            depth: neighbors of each target image; no more than there are source images are found.
            options: see there.
            progress: told of the source images described, without those of the first sample.

        Raises:
            InputError: ScaNN cannot be imported, the descriptors do not belong to the measure, the memory does not
                suffice, or the recall stays too low.
        """
        scann_operations()  # before hours of describing
        check_depth(depth)
        measure.check(targets, "target", targets)
        lift, depth = measure.lift(targets), min(depth, len(source))
        rng = np.random.default_rng(options.seed)
        sampled = rng.permutation(len(targets))[: options.n_sampled]
        fitted = np.sort(rng.permutation(len(targets))[: options.fit_targets])
        first = source.at(np.sort(rng.permutation(len(source))[: options.fit_sources]))
        measure.check(first, "source", targets)
        vectors, held = _rooms(source, first, options)
        embedding = fit_embedding(targets[fitted], first, lift, dimensions=options.dimensions)
        exact = ExactSearch(targets[sampled], measure, depth=depth)
        vectors = vectors[:, : embedding.dimensions]
        for start, descriptors in source.blocks(progress=progress):
            exact.add(start, descriptors)
            rows = slice(start, start + len(descriptors))
            vectors[rows] = embedding.sources(descriptors, lift)
            if held is not None:
                held[rows] = descriptors
        index = ScannIndex.build(np.ascontiguousarray(vectors))
        queries = embedding.targets(targets[sampled], lift)
        certificate = _certify(index, queries, exact.table(), len(source), len(targets), options)
        return cls(source, lift, embedding, index, certificate, held)

    def search(self, targets: np.ndarray) -> NeighborTable:
        """The nearest source images of the targets that the index was built for.

        Args:
            targets: `[n_target, ...]` descriptors.

        Returns:
            The `depth` nearest of the candidates, with the divergences of exact search but for rounding.
        """
        queries = self.embedded_targets(targets)
        return self.rank(targets, queries, self._index.search(queries, self.certificate.candidates))

    def rank(self, targets: np.ndarray, queries: np.ndarray, candidates: np.ndarray) -> NeighborTable:
        """The nearest of the candidates.

        Args:
            targets: `[n, ...]` descriptors.
            queries: `[n, d]` float32, embedded.
            candidates: `[n, c]` int64, ascending in each row, whoever proposes them; at least `depth`.
        """
        sources = self._source.at if self._held is None else self._held.__getitem__
        order = near_each_other(queries)
        return rerank(targets, candidates, order, self._lift, sources, depth=self.certificate.depth)

    def embedded_targets(self, targets: np.ndarray) -> np.ndarray:
        """What the index is asked with, `[n, d]` float32."""
        return self._embedding.targets(targets, self._lift)

    def embedded_sources(self, sources: np.ndarray) -> np.ndarray:
        """What the index holds, `[m, d]` float32."""
        return self._embedding.sources(sources, self._lift)

    def save(self, folder: str | os.PathLike[str], made_from: str) -> None:
        """Leave index, embedding and certificate in a folder of their own, which may be moved."""
        path = pathlib.Path(folder)
        arrays = dataclasses.asdict(self._embedding)
        self._index.save(
            path, made_from, certificate=self.certificate.config(), embedding=files.digest(*arrays.values())
        )
        files.save_arrays(path / _EMBEDDING, **arrays)

    @classmethod
    def load(
        cls,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        folder: str | os.PathLike[str],
        made_from: str,
    ) -> "ScannSearch | None":
        """What `save` left; None, with a line in the log, if it is missing, damaged, or made from something else."""
        held = ScannIndex.load(folder, made_from)
        if held is None:
            return None
        index, notes = held
        maps = ("target_map", "source_map", "target_mean", "source_mean")
        names = {**dict.fromkeys(maps, np.float32), "common_scale": np.float64}
        try:
            arrays = files.load_arrays(pathlib.Path(folder) / _EMBEDDING, names)
        except InputError as error:
            _logger.info("the index in %s is rebuilt: %s", folder, error)
            return None
        if files.digest(*arrays.values()) != notes["embedding"]:
            _logger.info("the index in %s is rebuilt: %s is damaged", folder, _EMBEDDING)
            return None
        return cls(source, measure.lift(targets), Embedding(**arrays), index, Certificate(**notes["certificate"]))


def _rooms(source: DescribedDomain, first: np.ndarray, options: ScannOptions) -> tuple[np.ndarray, np.ndarray | None]:
    """Room for embedded sources and, where the memory suffices, for their descriptors; says what it takes."""
    dimensions, n_source = options.dimensions + 1, len(source)
    needed, described = index_bytes(n_source, dimensions, kind_for(n_source)) / 1e9, n_source * first[0].nbytes / 1e9
    if needed > options.memory_gb:
        raise InputError(
            f"retrieval.memory_gb is {options.memory_gb:g}; an index of {n_source:,} source images with {dimensions} "
            f"numbers each needs {needed:.2g}: raise it, take fewer dimensions, or set retrieval.method to exact"
        )
    fits = needed + described <= options.memory_gb
    _logger.info(
        "scann: an index of %d source images, %d numbers each, takes %.2g GB; their descriptors take %.2g GB and %s",
        n_source, dimensions, needed, described,
        "are kept in memory" if fits else "are read, or described, again when they are ranked",
    )  # fmt: skip
    held = np.empty((n_source, *first.shape[1:]), first.dtype) if fits else None
    return np.empty((n_source, dimensions), np.float32), held


def _certify(
    index: ScannIndex,
    queries: np.ndarray,
    exact: NeighborTable,
    n_source: int,
    n_target: int,
    options: ScannOptions,
) -> Certificate:
    """The recall with as few candidates as suffice."""
    deepest = min(n_source, _DEEPEST * exact.depth)
    candidates = min(options.candidates or int(np.ceil(1.15 * exact.depth)), deepest)
    candidates = max(candidates, exact.depth)
    while True:
        found = recalls(index.search(queries, candidates), exact.indices)
        # nothing is left to chance where every source image is a candidate
        low, high = mean_interval(found, len(found) if candidates == n_source else n_target)
        certificate = Certificate(
            float(found.mean()), low, high, len(found), exact.depth, candidates, options.min_recall
        )
        _logger.info("scann: %s", certificate.summary())
        if low >= options.min_recall:
            return certificate
        if candidates == deepest:
            raise InputError(
                f"with {certificate.summary()}, the recall is not surely {options.min_recall:g}: raise "
                "retrieval.dimensions, lower retrieval.min_recall, or set retrieval.method to exact"
            )
        candidates = min(int(np.ceil(_GROWTH * candidates)), deepest)
