"""Approximate search with a certificate: an index proposes source images, exact divergences rank them.

The source is described once. Of a first seeded sample of it the embedding is fitted; then every block is embedded, and
searched exactly for a seeded sample of the targets. Against their exact lists the number of candidates is settled, so that
what is promised of the recall has been measured on the very index that is used.
"""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.certificate import Certificate, mean_interval, recalls
from sjft_tf.retrieval.checks import check_max_k
from sjft_tf.retrieval.embedding import Embedding, fit_embedding
from sjft_tf.retrieval.exact import ExactSearch
from sjft_tf.retrieval.lifts import Lift
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.rerank import LiftedSources, near_each_other, rerank
from sjft_tf.retrieval.scann_index import ScannIndex, index_bytes, kind_for, scann_operations
from sjft_tf.retrieval.scann_options import ScannOptions
from sjft_tf.retrieval.tiles import tiles

_logger = logging.getLogger(__name__)

_GROWTH, _DEEPEST = 1.5, 10  # of the candidates, when recall is too low; times max_k, at most
_TILE_BYTES = 2**26  # of vectors lifted at a time
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
        lifted: LiftedSources | None = None,
    ) -> None:
        self._source, self._lift, self._embedding, self._index = source, lift, embedding, index
        self.certificate, self._lifted = certificate, lifted

    @classmethod
    def open(
        cls,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        max_k: int,
        options: ScannOptions,
        folder: str | os.PathLike[str],
        made_from: str,
        progress: Progress | None = None,
    ) -> "ScannSearch":
        """The search that `folder` keeps; built and left there if it keeps none of these inputs.

        Args:
            targets: as in `build`; so are `source`, `measure`, `max_k`, `options` and `progress`.
            folder: the index's own.
            made_from: hash of target, source, describer and measure.
        """
        made_from = options.made_from(made_from, max_k)
        held = cls.load(targets, source, measure, folder=folder, made_from=made_from)
        if held is not None:
            return held
        search = cls.build(targets, source, measure, max_k=max_k, options=options, progress=progress)
        search.save(folder, made_from)
        return search

    @classmethod
    def build(
        cls,
        targets: np.ndarray,
        source: DescribedDomain,
        measure: Measure,
        *,
        max_k: int,
        options: ScannOptions,
        progress: Progress | None = None,
    ) -> "ScannSearch":
        """Index a source for these targets, and measure its recall.

        Args:
            targets: `[n_target, ...]` descriptors.
            source: the images to search.
            measure: by what descriptors are compared.
            max_k: neighbors of each target image; no more than there are source images are found.
            options: see there.
            progress: told of the source images described, without those of the first sample.

        Raises:
            InputError: ScaNN cannot be imported, the descriptors do not belong to the measure, the memory does not
                suffice, or the recall stays too low.
        """
        scann_operations()  # before hours of describing
        check_max_k(max_k)
        measure.check_targets(targets)
        lift, max_k = measure.lift(targets), min(max_k, len(source))
        rng = np.random.default_rng(options.seed)
        sampled = rng.permutation(len(targets))[: options.n_sampled]
        fitted = np.sort(rng.permutation(len(targets))[: options.fit_targets])
        first = source.at(np.sort(rng.permutation(len(source))[: options.fit_sources]))
        measure.check_sources(first, targets)
        length = lift.sources(first[:1]).shape[1]
        vectors, lifted = _rooms(len(source), length, options)
        embedding = fit_embedding(targets[fitted], first, lift, dimensions=options.dimensions)
        exact = ExactSearch(targets[sampled], measure, max_k=max_k)
        vectors = vectors[:, : embedding.dimensions]
        for start, descriptors in source.blocks(progress=progress):
            exact.add(start, descriptors)
            for tile in tiles(len(descriptors), max(1, _TILE_BYTES // (8 * length))):
                v, rows = lift.sources(descriptors[tile]), slice(start + tile.start, start + tile.stop)
                vectors[rows] = embedding.sources(v)
                if lifted is not None:
                    lifted.vectors[rows], lifted.lengths[rows] = v, np.sqrt(np.vecdot(v, v))
        index = ScannIndex.build(np.ascontiguousarray(vectors))
        queries = embedding.targets(lift.targets(targets[sampled])[0])
        certificate = _certify(index, queries, exact.table(), len(source), len(targets), options)
        return cls(source, lift, embedding, index, certificate, lifted)

    def search(self, targets: np.ndarray) -> NeighborTable:
        """The nearest source images of the targets that the index was built for.

        Args:
            targets: `[n_target, ...]` descriptors.

        Returns:
            The `max_k` nearest of the candidates, with the divergences that exact search gives these pairs.
        """
        queries = self.embedded_targets(targets)
        return self.rank(targets, queries, self._index.search(queries, self.certificate.candidates))

    def rank(self, targets: np.ndarray, queries: np.ndarray, candidates: np.ndarray) -> NeighborTable:
        """The nearest of the candidates by their exact divergences.

        Args:
            targets: `[n, ...]` descriptors.
            queries: `[n, d]` float32, embedded.
            candidates: `[n, c]` int64, ascending in each row, whoever proposes them; at least `max_k`.
        """
        return rerank(
            targets, candidates, near_each_other(queries), self._lift, self._source.at,
            max_k=self.certificate.max_k, lifted=self._lifted,
        )  # fmt: skip

    def embedded_targets(self, targets: np.ndarray) -> np.ndarray:
        """What the index is asked with, `[n, d]` float32."""
        return self._by_tiles(targets, lambda tile: self._embedding.targets(self._lift.targets(tile)[0]))

    def embedded_sources(self, sources: np.ndarray) -> np.ndarray:
        """What the index holds, `[m, d]` float32."""
        return self._by_tiles(sources, lambda tile: self._embedding.sources(self._lift.sources(tile)))

    def _by_tiles(self, descriptors: np.ndarray, embed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        rows = max(1, _TILE_BYTES // (8 * len(self._embedding.target_mean)))
        return np.concatenate([embed(descriptors[tile]) for tile in tiles(len(descriptors), rows)])

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
        names = {"target_map": np.float32, "source_map": np.float32, "target_mean": np.float64}
        names |= {"source_mean": np.float64, "common_scale": np.float64}
        try:
            arrays = files.load_arrays(pathlib.Path(folder) / _EMBEDDING, names)
        except InputError as error:
            _logger.info("the index in %s is built again: %s", folder, error)
            return None
        if files.digest(*arrays.values()) != notes["embedding"]:
            _logger.info("the index in %s is built again: %s is damaged", folder, _EMBEDDING)
            return None
        return cls(source, measure.lift(targets), Embedding(**arrays), index, Certificate(**notes["certificate"]))


def _rooms(n_source: int, length: int, options: ScannOptions) -> tuple[np.ndarray, LiftedSources | None]:
    """Room for embedded and, where the memory suffices, for lifted sources; says what it takes."""
    dimensions = options.dimensions + 1
    needed, lifted = index_bytes(n_source, dimensions, kind_for(n_source)) / 1e9, 8 * n_source * (length + 1) / 1e9
    if needed > options.memory_gb:
        raise InputError(
            f"retrieval.memory_gb is {options.memory_gb:g}; an index of {n_source:,} source images with {dimensions} "
            f"numbers each needs {needed:.2g}: raise it, take fewer dimensions, or set retrieval.method to exact"
        )
    fits = needed + lifted <= options.memory_gb
    _logger.info(
        "scann: an index of %d source images, %d numbers each, takes %.2g GB; their lifted vectors take %.2g GB and %s",
        n_source, dimensions, needed, lifted,
        "are kept in memory" if fits else "are made again when they are ranked",
    )  # fmt: skip
    vectors = np.empty((n_source, dimensions), np.float32)
    return vectors, LiftedSources(np.empty((n_source, length)), np.empty(n_source)) if fits else None


def _certify(
    index: ScannIndex,
    queries: np.ndarray,
    exact: NeighborTable,
    n_source: int,
    n_target: int,
    options: ScannOptions,
) -> Certificate:
    """The recall with as few candidates as suffice."""
    deepest = min(n_source, _DEEPEST * exact.max_k)
    candidates = min(options.candidates or int(np.ceil(1.15 * exact.max_k)), deepest)
    candidates = max(candidates, exact.max_k)
    while True:
        found = recalls(index.search(queries, candidates), exact.indices)
        # nothing is left to chance where every source image is a candidate
        low, high = mean_interval(found, len(found) if candidates == n_source else n_target)
        certificate = Certificate(
            float(found.mean()), low, high, len(found), exact.max_k, candidates, options.min_recall
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
