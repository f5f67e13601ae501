"""The stage `describe`: the bin edges of every channel, fitted on the target alone."""

import logging
import time

import numpy as np

from sjft_tf import files
from sjft_tf.config import settings_for_hash
from sjft_tf.descriptors import BinEdges, PooledFeatures, fit_bin_edges
from sjft_tf.progress import watching
from sjft_tf.stages.values import Description
from sjft_tf.workspace import Workspace

_ARRAYS = {"lower": np.floating, "upper": np.floating, "edges": np.floating}
# keys of `descriptor` that say how descriptors are compared or kept; weights and layers are in the bank's own hash
_OF_OTHERS = ("divergence", "store", "weights", "layers", "backbone", "alpha", "tap", "stride", "image_size")
logger = logging.getLogger(__name__)


def describe(workspace: Workspace) -> Description:
    """Fit the bin edges, unless they are up to date."""
    folder, made_from = workspace.folder, _made_from(workspace)
    if isinstance(workspace.bank, PooledFeatures):
        return Description(made_from, None)
    folder.sharing.take(folder.bin_edges, made_from)
    held = files.load_made_from(folder.bin_edges, made_from, _ARRAYS)
    if held is not None:
        return Description(made_from, BinEdges(**held))
    start, settings = time.monotonic(), workspace.experiment.descriptor
    logger.info("describe: fitting bin edges on %d target images", len(workspace.target))
    with watching("bin edges") as progress:
        edges = fit_bin_edges(
            workspace.target, workspace.bank, image_size=workspace.experiment.descriptor_size, bins=settings.n_bins,
            fine_bins=settings.fine_bins, binning=settings.binning, progress=progress,
        )  # fmt: skip
    files.save_arrays(
        folder.bin_edges, made_from=made_from, lower=edges.lower, upper=edges.upper, edges=edges.edges
    )  # fmt: skip
    folder.sharing.give(folder.bin_edges, made_from)
    folder.record_stage("describe", made_from, time.monotonic() - start)
    return Description(made_from, edges)


def _made_from(workspace: Workspace) -> str:
    descriptor = settings_for_hash(workspace.experiment.descriptor)
    settings = {key: value for key, value in descriptor.items() if key not in _OF_OTHERS}
    settings["image_size"] = workspace.experiment.descriptor_size
    return files.digest("description 1", workspace.target.fingerprint(), workspace.bank.config(), settings)
