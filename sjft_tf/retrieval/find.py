"""From two domains to a neighbor table, in one call."""

import logging
import os
import pathlib

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import BinEdges, FilterBank, GaborBank, describe, fit_bin_edges
from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.checks import check_settings
from sjft_tf.retrieval.divergence import EPSILON
from sjft_tf.retrieval.exact import ExactSearch
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.tiles import tiles

_logger = logging.getLogger(__name__)
_METHOD = "exact 1"  # to be changed when the same inputs give another table
_BLOCK_BYTES = 2**28  # of source descriptors in memory


def find_neighbors(
    target: Domain,
    source: Domain,
    *,
    bank: FilterBank | None = None,
    max_k: int,
    image_size: int = 224,
    bins: int = 32,
    binning: str = "quantile",
    epsilon: float = EPSILON,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """The source images whose descriptors are nearest to those of each target image.

    Fits bin edges on the target, describes both domains and searches exactly.

    Args:
        target: the target's training images.
        source: the images to borrow from.
        bank: the filter bank; a `GaborBank()` if None.
        max_k: neighbors of each target image; a smaller source makes a narrower table, which is logged.
        image_size: side of the images given to the bank, in pixels.
        bins: bins of each channel's histogram.
        binning: "quantile" (equal mass) or "authors" (their code's rule).
        epsilon: as in `symmetric_kl`.
        cache: folder that keeps tables by a hash of both domains' content and of all arguments; made if absent.
        progress: told of images described; each target image counts three times, twice for the bin edges.

    Returns:
        A table of `len(target)` rows.

    Raises:
        InputError: a domain has no images, a value is out of range, or `cache` cannot be written.

    Example:
        `find_neighbors(ImageFolder("flowers/train"), ImageFolder("imagenet"), max_k=5100, cache="cache")`
    """
    check_settings(max_k, epsilon)
    if not len(source):
        raise InputError(f"{source.name} has no images; a search needs at least one")
    bank = bank or GaborBank()
    path, key = None, ""
    if cache is not None:
        settings = [_METHOD, bank.config(), min(max_k, len(source)), image_size, bins, binning, epsilon]
        key = files.digest(target.fingerprint(), source.fingerprint(), settings)
        path = _folder(cache) / f"neighbors-{key}.npz"
        if held := _held(path, key):
            return held
    images = 3 * len(target) + len(source)
    fitting, searching = _within(progress, 0, images), _within(progress, 2 * len(target), images)
    edges = fit_bin_edges(target, bank, image_size=image_size, bins=bins, binning=binning, progress=fitting)
    table = search_domain(
        target, source, bank, edges, max_k=max_k, image_size=image_size, epsilon=epsilon, progress=searching
    )
    if path is not None:
        table.save(path, made_from=key)
    return table


def search_domain(
    target: Domain,
    source: Domain,
    bank: FilterBank,
    edges: BinEdges,
    *,
    max_k: int,
    image_size: int,
    epsilon: float = EPSILON,
    progress: Progress | None = None,
) -> NeighborTable:
    """`find_neighbors` with the bin edges at hand.

    The source is described and searched block by block, so memory holds a few hundred megabytes of it, however large.

    Args:
        target: the target's training images.
        source: the images to borrow from.
        bank: the filter bank.
        edges: the bin edges of its channels, fitted on the target.
        max_k: as in `find_neighbors`; so are `image_size` and `epsilon`.
        progress: told of images described.

    Raises:
        InputError: a value is out of range.
    """
    images = len(target) + len(source)
    describing = _within(progress, 0, images)
    target_counts = describe(target, bank, edges, image_size=image_size, progress=describing)
    search = ExactSearch(target_counts, bank.channel_weights, max_k=max_k, epsilon=epsilon)
    for block in tiles(len(source), max(1, _BLOCK_BYTES // target_counts[0].nbytes)):
        describing = _within(progress, len(target) + block.start, images)
        rows = np.arange(block.start, block.stop)
        counts = describe(source, bank, edges, image_size=image_size, indices=rows, progress=describing)
        search.add(block.start, counts)
    return search.table()


def _folder(path: str | os.PathLike) -> pathlib.Path:
    """The folder at `path`, made if absent: before the search, because after it a failure would cost hours."""
    folder = pathlib.Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the cache folder {folder} cannot be made: {error.strerror}") from error
    return folder


def _held(path: pathlib.Path, key: str) -> NeighborTable | None:
    """The table in the cache, if it is there and whole."""
    if not path.exists():
        return None
    try:
        return NeighborTable.load(path, made_from=key)
    except InputError as error:
        _logger.warning("%s; searching again", error)
        return None


def _within(progress: Progress | None, before: int, total: int) -> Progress | None:
    """A listener to a part of the work, which begins when `before` of `total` is done."""
    return progress and (lambda done, _: progress(before + done, total))
