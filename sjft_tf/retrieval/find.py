"""From two domains to a neighbor table, in one call."""

import os
import pathlib

from sjft_tf import descriptors, files
from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.divergence import SMOOTHING, Smoothing
from sjft_tf.retrieval.exact import Hubness, check_depth
from sjft_tf.retrieval.measures import Divergence, check_smoothing, measure_for
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.streaming import search_stream

_METHOD = "exact 3"  # to be changed when the same inputs give another table


def find_neighbors(
    target: Domain,
    source: Domain,
    *,
    bank: descriptors.FilterBank | descriptors.FeatureExtractor | None = None,
    depth: int,
    image_size: int = 224,
    bins: int = 32,
    binning: str = "quantile",
    divergence: Divergence = "kl",
    smoothing: Smoothing = SMOOTHING,
    hubness: Hubness = "none",
    memory_gb: float = 4.0,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """The source images whose descriptors are nearest to those of each target image.

    Fits bin edges on the target, describes both domains and searches exactly.

    Args:
        target: the target's training images.
        source: the images to borrow from.
        bank: the filter bank; a `GaborBank()` if None. With `PooledFeatures` images are compared by the squared distance
            of feature vectors of unit length instead, and bins play no part.
        depth, hubness: as in `ExactSearch`.
        image_size: side of the images given to the bank, in pixels.
        bins: bins of each channel's histogram; the authors took 32 for Gabor filters and 100 for AlexNet.
        binning: as in `fit_bin_edges`.
        divergence, smoothing: of histograms, as in `HistogramMeasure`.
        memory_gb: memory that the search may take, in 10^9 bytes; without influence on the table.
        cache: folder that keeps tables by a hash of both domains' content and of all arguments; made if absent. A search
            that is interrupted resumes from what it left there.
        progress: told of images described; each target image counts three times, twice for the bin edges.

    Returns:
        A table of `len(target)` rows, with the fingerprints of both domains.

    Raises:
        InputError: a domain has no images, a value is out of range, or `cache` cannot be written.

    Example:
        `find_neighbors(ImageFolder("flowers/train"), ImageFolder("imagenet"), depth=5100, cache="cache")`
    """
    check_depth(depth, hubness)
    check_smoothing(divergence, smoothing)
    if not len(source):
        raise InputError(f"{source.name} has no images; a search needs at least one")
    bank = bank or descriptors.GaborBank()
    path, key = None, ""
    if cache is not None:
        settings = [
            _METHOD, bank.config(), min(depth, len(source)), image_size, bins, binning, divergence, smoothing, hubness,
        ]  # fmt: skip
        key = files.digest(target.fingerprint(), source.fingerprint(), settings)
        path = _folder(cache) / f"neighbors-{key}.npz"
        held = files.load_made_from(path, key, NeighborTable.kinds(), otherwise="it is searched again")
        if held is not None:
            return NeighborTable.of_arrays(held)
    images = 3 * len(target) + len(source)
    describer: descriptors.Describer
    if isinstance(bank, descriptors.FeatureExtractor):
        describer = descriptors.FeatureDescriber(bank, image_size=image_size)
    else:
        edges = descriptors.fit_bin_edges(
            target, bank, image_size=image_size, bins=bins, binning=binning, progress=_within(progress, 0, images)
        )
        describer = descriptors.HistogramDescriber(bank, edges, image_size=image_size)
    targets = describer.describe(target, progress=_within(progress, 2 * len(target), images))
    table = search_stream(
        targets,
        descriptors.DescribedDomain(source, describer),
        measure_for(bank, divergence=divergence, smoothing=smoothing),
        depth=depth,
        hubness=hubness,
        memory_gb=memory_gb,
        state=path.with_suffix(".state") if path else None,
        made_from=key,
        progress=_within(progress, 3 * len(target), images),
    ).of(target, source)
    if path is not None:
        files.save_arrays(path, **table.arrays(), made_from=key)
        path.with_suffix(".state").unlink(missing_ok=True)
    return table


def _folder(path: str | os.PathLike) -> pathlib.Path:
    """The folder at `path`, made if absent: before the search, because after it a failure would cost hours."""
    folder = pathlib.Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the cache folder {folder} cannot be made: {error.strerror}") from error
    return folder


def _within(progress: Progress | None, before: int, total: int) -> Progress | None:
    """A listener to a part of the work, which begins when `before` of `total` is done."""
    return progress and (lambda done, _: progress(before + done, total))
