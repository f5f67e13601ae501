"""The stage `search`: the source neighbors of every target image, by descriptors with the target's bins."""

import dataclasses
import functools
import importlib.util
import logging
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sjft_tf import files
from sjft_tf.config import parse_experiment, settings_for_hash, to_yaml
from sjft_tf.descriptors import DescribedDomain, Describer, FeatureDescriber, HistogramDescriber, PooledFeatures
from sjft_tf.errors import InputError
from sjft_tf.progress import watching
from sjft_tf.reporting.drawing import spread
from sjft_tf.retrieval import (
    ExactSearch,
    Measure,
    NeighborTable,
    ScannSearch,
    choose_method,
    measure_for,
    search_stream,
)
from sjft_tf.retrieval.specificity import Specificity
from sjft_tf.selection import deepest_k
from sjft_tf.stages.values import Description, Neighbors
from sjft_tf.workspace import RunFolder, Workspace

SAMPLED_TARGETS, SAMPLED_SOURCES = 200, 1000  # images whose divergences tell what share of them is a source image's own
logger = logging.getLogger(__name__)


def search(
    workspace: Workspace, description: Description, runner: str | None = None, options: Sequence[str] = ()
) -> Neighbors:
    """Find the source neighbors of every target image, unless the table is up to date.

    Args:
        description: how images are described.
        runner: the Beam runner whose workers search; this process, if None. The table is the same.
        options: of the runner, "key=value" each.

    Raises:
        InputError: the run draws nothing from a source, or Beam cannot be used.
    """
    folder, made_from = workspace.folder, _made_from(workspace, description)
    for path in (folder.neighbors, folder.retrieval):
        folder.sharing.take(path, made_from)
    held = files.load_made_from(folder.neighbors, made_from, NeighborTable.kinds())
    figures = folder.load_json(folder.retrieval, made_from)
    if held is not None and figures is not None:
        table = NeighborTable.of_arrays(held)
        table.check(workspace.target, workspace.need_source())
        return Neighbors(made_from, table, figures)
    start, source = time.monotonic(), _described_source(workspace, description)
    with watching("describe target") as progress:
        targets = source.describer.describe(workspace.target, progress=progress)
    method, reason = _method(workspace)
    logger.info("search: %d neighbors of each target image among %d source images", _depth(workspace), len(source))
    logger.info("search: by method %s: %s", method, reason)
    found: dict[str, Any] = {}
    if runner is not None:
        table, found["runner"] = _by_beam(workspace, description, targets, made_from, runner, options), runner
    elif method == "scann":
        approximate = _by_scann(workspace, targets, source)
        table, found["certificate"] = approximate.table(), dataclasses.asdict(approximate.certificate)
    else:
        table = _exactly(workspace, targets, source, made_from)
    table = table.of(workspace.target, workspace.need_source())
    specificity = _specificity(workspace, table, targets, source)
    figures = {
        **_figures(workspace, table),
        "specificity": dataclasses.asdict(specificity),
        "made_from": made_from,
        **found,
    }
    files.write_json(folder.retrieval, figures)
    files.save_arrays(folder.neighbors, made_from=made_from, **table.arrays())
    shutil.rmtree(folder.search, ignore_errors=True)
    for path in (folder.neighbors, folder.retrieval):
        folder.sharing.give(path, made_from)
    folder.record_stage("search", made_from, time.monotonic() - start)
    logger.info("search: %s", table.summary())
    logger.info("search: %s", specificity.words())
    return Neighbors(made_from, table, figures)


def _made_from(workspace: Workspace, description: Description) -> str:
    retrieval = settings_for_hash(workspace.experiment.retrieval)
    retrieval.pop("memory_gb", None)  # how much is held at a time changes no neighbor
    divergence = workspace.experiment.descriptor.divergence
    settings = {**retrieval, "max_k": _depth(workspace), "method": _method(workspace)[0], "divergence": divergence}
    return files.digest("neighbors 4", description.made_from, workspace.need_source().fingerprint(), settings)


def _depth(workspace: Workspace) -> int:
    """Neighbors kept per target image: as asked, or as deep as K can get, and at most the whole source."""
    s = workspace.experiment.selection
    deepest = deepest_k(k0=s.k0, rounds=s.rounds, sigma0=s.sigma0, sigma1=s.sigma1, level_cap=s.level_cap)
    return min(workspace.experiment.retrieval.max_k or deepest, len(workspace.need_source()))


def _described_source(workspace: Workspace, description: Description) -> DescribedDomain:
    """The source as descriptors, with the bin edges of the target."""
    source, size = workspace.need_source(), workspace.experiment.descriptor_size
    if isinstance(workspace.bank, PooledFeatures):
        describer: Describer = FeatureDescriber(workspace.bank, image_size=size)
    else:
        assert description.edges is not None  # histograms have bins
        describer = HistogramDescriber(workspace.bank, description.edges, image_size=size)
    folder = None
    if workspace.experiment.descriptor.store:
        shared = workspace.folder.sharing.folder(files.digest("source", source.fingerprint(), describer.config()))
        folder = shared or workspace.folder.descriptors
    return DescribedDomain(source, describer, folder)


def _open_source(experiment: str, folder: pathlib.Path, description: Description) -> DescribedDomain:
    """`_described_source` on a worker, which reaches the run folder but shares nothing else with this process."""
    return _described_source(Workspace(parse_experiment(experiment), RunFolder(folder)), description)


def _exactly(workspace: Workspace, targets: np.ndarray, source: DescribedDomain, made_from: str) -> NeighborTable:
    retrieval, state = workspace.experiment.retrieval, workspace.folder.search / "state.npz"
    with watching("describe and search") as progress:
        return search_stream(
            targets, source, measure_of(workspace), depth=_depth(workspace), hubness=retrieval.hubness,
            memory_gb=retrieval.memory_gb, state=state, made_from=made_from, progress=progress,
        )  # fmt: skip


def _by_scann(workspace: Workspace, targets: np.ndarray, source: DescribedDomain) -> ScannSearch:
    retrieval = workspace.experiment.retrieval
    if retrieval.hubness != "none":
        raise InputError(f"retrieval.hubness {retrieval.hubness} goes with retrieval.method exact or auto; it is scann")
    with watching("describe and index") as progress:
        return ScannSearch(
            targets, source, measure_of(workspace), depth=_depth(workspace), dimensions=retrieval.dimensions,
            min_recall=retrieval.min_recall, memory_gb=retrieval.memory_gb, progress=progress,
        )  # fmt: skip


def _by_beam(
    workspace: Workspace, description: Description, targets: np.ndarray, made_from: str, runner: str,
    options: Sequence[str],
) -> NeighborTable:  # fmt: skip
    retrieval, folder = workspace.experiment.retrieval, workspace.folder
    if retrieval.method == "scann":
        raise InputError("--runner goes with retrieval.method exact or auto; it is scann")
    try:
        from sjft_tf.retrieval.beam import search_beam
    except ImportError as error:
        raise InputError('--runner needs Apache Beam; install it with: pip install "sjft-tf[beam]"') from error
    opened = functools.partial(_open_source, to_yaml(workspace.experiment), folder.path.absolute(), description)
    return search_beam(
        targets, opened, measure_of(workspace), depth=_depth(workspace), hubness=retrieval.hubness,
        folder=folder.search.absolute(), made_from=made_from, runner=runner, options=options,
    )  # fmt: skip


def measure_of(workspace: Workspace) -> Measure:
    """By what the run compares descriptors; InputError where it cannot."""
    divergence, smoothing = workspace.experiment.descriptor.divergence, workspace.experiment.retrieval.smoothing
    return measure_for(workspace.bank, divergence=divergence, smoothing=smoothing)


def _method(workspace: Workspace) -> tuple[str, str]:
    """ "exact" or "scann", and why."""
    retrieval = workspace.experiment.retrieval
    if retrieval.method != "auto":
        return retrieval.method, "the config asks for it"
    n_target, n_source = len(workspace.target), len(workspace.need_source())
    return choose_method(n_target, n_source, _depth(workspace), obstacle=_obstacle(workspace))


def _obstacle(workspace: Workspace) -> str:
    """Why there can be no index, or nothing."""
    retrieval, descriptor = workspace.experiment.retrieval, workspace.experiment.descriptor
    if isinstance(workspace.bank, PooledFeatures):
        return "pooled features are as compact as an index"
    if retrieval.hubness != "none":
        return f"retrieval.hubness is {retrieval.hubness}, which an index does not know"
    if importlib.util.find_spec("scann") is None:
        return "ScaNN is not installed"
    size = 2e-9 * len(workspace.need_source()) * len(workspace.bank.channel_weights) * descriptor.n_bins
    if not descriptor.store and size > retrieval.memory_gb:
        return f"the source's descriptors take {size:.2g} GB, and are neither stored nor fit in retrieval.memory_gb"
    return ""


def _specificity(
    workspace: Workspace, table: NeighborTable, targets: np.ndarray, source: DescribedDomain
) -> Specificity:
    """How specific the lists of the first round are; divergences are those of images spread evenly over both domains."""
    sources, some = spread(len(source), SAMPLED_SOURCES), spread(len(targets), SAMPLED_TARGETS)
    search = ExactSearch(targets[some], measure_of(workspace), depth=len(sources))
    search.add(0, source.at(sources))
    every = search.table()  # as deep as the sample: every divergence, in another order
    divergences = np.take_along_axis(every.divergences, np.argsort(every.indices, axis=1), axis=1)
    depth = min(workspace.experiment.selection.k0, table.depth)
    return Specificity.of(table.indices, workspace.target.labels, len(source), depth=depth, divergences=divergences)


def _figures(workspace: Workspace, table: NeighborTable) -> dict[str, Any]:
    k0 = workspace.experiment.selection.k0
    depths = sorted({min(k, table.depth) for k in (k0, 10, 100, 1000, table.depth)})
    return {
        "method": _method(workspace)[0],
        "n_target": len(table),
        "n_source": len(workspace.need_source()),
        "max_k": table.depth,
        "distinct_source_images": {str(k): table.distinct(k) for k in depths},
    }
