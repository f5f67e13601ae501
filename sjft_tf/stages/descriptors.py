"""The stages `describe` and `search`: bin edges fitted on the target, then the neighbor table."""

import dataclasses
import logging
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.config import parse_experiment, to_yaml
from sjft_tf.descriptors import (
    BinEdges,
    DescribedDomain,
    Describer,
    DescriptorStore,
    FeatureDescriber,
    HistogramDescriber,
    PooledFeatures,
    fit_bin_edges,
)
from sjft_tf.errors import InputError
from sjft_tf.retrieval import (
    NeighborTable,
    ScannOptions,
    ScannSearch,
    SearchState,
    search_stream,
)
from sjft_tf.run_folder import RunFolder
from sjft_tf.stages.run import Run
from sjft_tf.stages.watching import watching

logger = logging.getLogger(__name__)


def describe(run: Run) -> BinEdges | None:
    """Fit the bin edges of every channel on the target images; None where images are described without bins."""
    if isinstance(run.bank, PooledFeatures):
        return None
    names = {"lower": np.floating, "upper": np.floating, "edges": np.floating}
    held = run.folder.load(run.folder.bin_edges, run.edges_hash, names)
    if held is not None:
        return BinEdges(**held)
    start, settings = time.monotonic(), run.experiment.descriptor
    logger.info("describe: fitting bin edges on %d target images", len(run.target))
    with watching("bin edges") as progress:
        edges = fit_bin_edges(
            run.target, run.bank, image_size=run.experiment.descriptor_size, bins=settings.n_bins,
            fine_bins=settings.fine_bins, binning=settings.binning, progress=progress,
        )  # fmt: skip
    run.folder.save(run.folder.bin_edges, run.edges_hash, lower=edges.lower, upper=edges.upper, edges=edges.edges)
    run.folder.record_stage("describe", run.edges_hash, time.monotonic() - start)
    return edges


def search(run: Run, runner: str | None = None, options: Sequence[str] = ()) -> NeighborTable:
    """Find the source neighbors of every target image.

    Args:
        run: the run.
        runner: the Beam runner whose workers search; this process, if None. The table is the same.
        options: of the runner, "key=value" each.
    """
    held = run.folder.load(run.folder.neighbors, run.neighbors_hash, NeighborTable.kinds())
    if held is not None and run.folder.retrieval.exists():
        table = NeighborTable.of_arrays(held)
        table.check(run.target, run.need_source())
        return table
    source = described_source(run)
    start = time.monotonic()
    with watching("describe target") as progress:
        targets = source.describer.describe(run.target, progress=progress)
    method, reason = run.search_method
    logger.info(
        "search: %d neighbors of each target image among %d source images, %s (%s)",
        run.max_k, len(source), method, reason,
    )  # fmt: skip
    table, figures = _search(run, targets, source, runner, options)
    table = table.of(run.target, run.need_source())
    files.write_json(run.folder.retrieval, {**_figures(run, table), **figures})
    run.folder.save(run.folder.neighbors, run.neighbors_hash, **table.arrays())
    shutil.rmtree(run.folder.search, ignore_errors=True)
    run.folder.record_stage("search", run.neighbors_hash, time.monotonic() - start)
    logger.info("search: %s", table.summary())
    return table


def described_source(run: Run) -> DescribedDomain:
    """The source as descriptors, with the bin edges of the target."""
    source, describer = run.need_source(), _describer(run)
    if not run.experiment.descriptor.store:
        return DescribedDomain(source, describer)
    made_from = files.digest("descriptors 1", source.fingerprint(), describer.config())
    store = DescriptorStore(run.folder.descriptors, made_from, shape=describer.shape, dtype=describer.dtype)
    return DescribedDomain(source, describer, store)


@dataclasses.dataclass(frozen=True)
class SourceOfRun:
    """Opens the source of a run on a worker, which reaches the run folder but shares nothing else with this process."""

    experiment: str  # YAML
    folder: pathlib.Path

    def __call__(self) -> DescribedDomain:
        """The source as descriptors."""
        return described_source(Run(parse_experiment(self.experiment), RunFolder(self.folder)))


def _search(
    run: Run, targets: np.ndarray, source: DescribedDomain, runner: str | None, options: Sequence[str]
) -> tuple[NeighborTable, dict[str, Any]]:
    """The table, and what `retrieval.json` says of this way to it."""
    retrieval = run.experiment.retrieval
    if runner is not None:
        return _search_beam(run, targets, runner, options), {"runner": runner}
    if run.search_method[0] == "scann":
        return _search_scann(run, targets, source)
    with watching("describe and search") as progress:
        state = SearchState(run.folder.search / "state.npz", run.neighbors_hash)
        table = search_stream(
            targets, source, run.measure, depth=run.max_k, hubness=retrieval.hubness, memory_gb=retrieval.memory_gb,
            state=state, progress=progress,
        )  # fmt: skip
    return table, {}


def _search_scann(run: Run, targets: np.ndarray, source: DescribedDomain) -> tuple[NeighborTable, dict[str, Any]]:
    retrieval = run.experiment.retrieval
    if retrieval.hubness != "none":
        raise InputError(f"retrieval.hubness {retrieval.hubness} goes with retrieval.method exact; it is scann")
    options = ScannOptions(
        dimensions=retrieval.dimensions, min_recall=retrieval.min_recall, memory_gb=retrieval.memory_gb
    )
    with watching("describe and index") as progress:
        found = ScannSearch.open(
            targets, source, run.measure, depth=run.max_k, options=options, folder=run.folder.index,
            made_from=run.neighbors_hash, progress=progress,
        )  # fmt: skip
    return found.search(targets), {"certificate": found.certificate.config()}


def _search_beam(run: Run, targets: np.ndarray, runner: str, options: Sequence[str]) -> NeighborTable:
    if run.search_method[0] != "exact":
        raise InputError("--runner goes with retrieval.method exact; it is scann")
    try:
        from sjft_tf.retrieval.beam import search_beam
    except ImportError as error:
        raise InputError('--runner needs Apache Beam; install it with: pip install "sjft-tf[beam]"') from error
    open_source = SourceOfRun(to_yaml(run.experiment), run.folder.path.absolute())
    return search_beam(
        targets, open_source, run.measure, depth=run.max_k, hubness=run.experiment.retrieval.hubness,
        folder=run.folder.search.absolute(), made_from=run.neighbors_hash, runner=runner, options=options,
    )  # fmt: skip


def _describer(run: Run) -> Describer:
    if isinstance(run.bank, PooledFeatures):
        return FeatureDescriber(run.bank, image_size=run.experiment.descriptor_size)
    edges = describe(run)
    assert edges is not None  # histograms have bins
    return HistogramDescriber(run.bank, edges, image_size=run.experiment.descriptor_size)


def _figures(run: Run, table: NeighborTable) -> dict[str, Any]:
    k0 = run.experiment.selection.k0
    depths = sorted({min(k, table.depth) for k in (k0, 10, 100, 1000, table.depth)})
    return {
        "made_from": run.neighbors_hash,
        "method": run.search_method[0],
        "n_target": len(table),
        "n_source": len(run.need_source()),
        "max_k": table.depth,
        "distinct_source_images": {str(k): table.distinct(k) for k in depths},
    }
