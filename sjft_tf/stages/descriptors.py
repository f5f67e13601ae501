"""The stages `describe` and `search`: bin edges fitted on the target, then the neighbor table."""

import logging
import time

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import BinEdges, fit_bin_edges
from sjft_tf.retrieval import NeighborTable, search_domain
from sjft_tf.stages.run import Run
from sjft_tf.stages.watching import watching

logger = logging.getLogger(__name__)


def describe(run: Run) -> BinEdges:
    """Fit the bin edges of every channel on the target images."""
    names = {"lower": np.floating, "upper": np.floating, "edges": np.floating}
    held = run.folder.load(run.folder.bin_edges, run.edges_hash, names)
    if held is not None:
        return BinEdges(**held)
    start, settings = time.monotonic(), run.experiment.descriptor
    logger.info("describe: fitting bin edges on %d target images", len(run.target))
    with watching("bin edges") as progress:
        edges = fit_bin_edges(
            run.target, run.bank, image_size=run.experiment.descriptor_size, bins=settings.bins,
            fine_bins=settings.fine_bins, binning=settings.binning, progress=progress,
        )  # fmt: skip
    run.folder.save(run.folder.bin_edges, run.edges_hash, lower=edges.lower, upper=edges.upper, edges=edges.edges)
    run.folder.record_stage("describe", run.edges_hash, time.monotonic() - start)
    return edges


def search(run: Run) -> NeighborTable:
    """Find the source neighbors of every target image."""
    names = {"indices": np.int32, "divergences": np.float32}
    held = run.folder.load(run.folder.neighbors, run.neighbors_hash, names)
    if held is not None and run.folder.retrieval.exists():
        return NeighborTable(**held)
    edges, source = describe(run), run.need_source()
    start = time.monotonic()
    logger.info("search: %d neighbors of each target image among %d source images", run.max_k, len(source))
    with watching("describe and search") as progress:
        table = search_domain(
            run.target, source, run.bank, edges, max_k=run.max_k, image_size=run.experiment.descriptor_size,
            epsilon=run.experiment.retrieval.epsilon, progress=progress,
        )  # fmt: skip
    files.write_json(run.folder.retrieval, _figures(run, table))
    run.folder.save(run.folder.neighbors, run.neighbors_hash, indices=table.indices, divergences=table.divergences)
    run.folder.record_stage("search", run.neighbors_hash, time.monotonic() - start)
    logger.info("search: %s", table.summary())
    return table


def _figures(run: Run, table: NeighborTable) -> dict:
    k0 = run.experiment.selection.k0
    depths = sorted({min(k, table.max_k) for k in (k0, 10, 100, 1000, table.max_k)})
    return {
        "made_from": run.neighbors_hash,
        "method": run.experiment.retrieval.method,
        "n_target": len(table),
        "n_source": len(run.need_source()),
        "max_k": table.max_k,
        "distinct_source_images": {str(k): table.distinct(k) for k in depths},
    }
