"""Domains in, bin edges and descriptors out: images stream through a filter bank while the next ones are decoded."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from sjft_tf.descriptors import histograms
from sjft_tf.descriptors.bank import FilterBank
from sjft_tf.descriptors.edges import BinEdges, check_binning, edges_from_counts
from sjft_tf.domains import Domain, image_batches, squashed_view
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress


def fit_bin_edges(
    target: Domain,
    bank: FilterBank,
    *,
    image_size: int,
    bins: int = 32,
    fine_bins: int = 2000,
    binning: str = "quantile",
    batch_size: int = 16,
    progress: Progress | None = None,
) -> BinEdges:
    """Bin edges from all images of the target: a first pass for the bounds, a second for the fine histogram.

    Args:
        target: the target's training images.
        bank: the filter bank.
        image_size: side of the images given to the bank, in pixels.
        bins: bins per channel, from 2 to `fine_bins`.
        fine_bins: equal intervals between the bounds, from which the bins are made.
        binning: "quantile" (equal mass) or "authors" (the rule of their code).
        batch_size: images at a time; without influence on the result.
        progress: told of both passes, so its total is twice the number of images.

    Raises:
        InputError: a value is out of range, the target is empty, a response is not finite, or a response map has
            more pixels than uint16 can count.

    Reference: specification 1.3.
    """
    if not 2 <= bins <= fine_bins:
        raise InputError(f"the number of bins is {bins}; it must be from 2 to {fine_bins}")
    check_binning(binning)
    if len(target) == 0:
        raise InputError(f"{target.name} has no images; bin edges need at least one")
    tell = progress or _nobody
    batches = functools.partial(_batches, target, image_size, batch_size)
    lower = np.full(len(bank.channel_weights), np.inf, np.float32)
    upper = -lower
    for done, limits in batches(_over_groups(bank, histograms.bounds)):
        lower, upper = np.minimum(lower, limits[0, :, 0]), np.maximum(upper, limits[1, :, 0])
        tell(done, 2 * len(target))
    if not np.isfinite([lower, upper]).all():
        raise InputError(f"the filter bank's responses to {target.name} are not finite")
    counts = np.zeros((len(lower), fine_bins), np.int64)
    measure = functools.partial(histograms.fine_counts, intervals=fine_bins)
    for done, batch_counts in batches(_over_groups(bank, measure, lower, upper)):
        counts += batch_counts
        tell(len(target) + done, 2 * len(target))
    return edges_from_counts(counts, lower, upper, bins=bins, binning=binning, channel_names=bank.channel_names)


def describe(
    domain: Domain,
    bank: FilterBank,
    edges: BinEdges,
    *,
    image_size: int,
    batch_size: int = 16,
    indices: np.ndarray | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Descriptors of a domain's images: how many pixels of each response map fall in each bin.

    Args:
        domain: target or source.
        bank: the filter bank with which `edges` were fitted.
        edges: the target's bin edges.
        image_size: side of the images given to the bank, in pixels, as for `edges`.
        batch_size: images at a time; without influence on the result.
        indices: which images, in which order; all, if None.
        progress: told after every batch.

    Returns:
        `[n, D, bins]` uint16. Memory beside it is that of a few batches.

    Raises:
        InputError: bank and edges differ in channels, or a response map has more pixels than uint16 can count.
    """
    if len(edges.lower) != len(bank.channel_weights):
        channels = len(bank.channel_weights)
        raise InputError(f"the bin edges have {len(edges.lower)} channels; the filter bank has {channels}")
    tell = progress or _nobody
    counts = np.empty((len(domain) if indices is None else len(indices), len(edges.lower), edges.bins), np.uint16)
    measure = _over_groups(bank, histograms.histogram_counts, histograms.bin_thresholds(edges))
    for done, batch_counts in _batches(domain, image_size, batch_size, measure, indices):
        counts[done - len(batch_counts) : done] = batch_counts
        tell(done, len(counts))
    return counts


def _over_groups(bank: FilterBank, measure: Callable, *per_channel: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """From images to `measure(responses, *per_channel)` of each group, joined along its second-last axis."""

    def measured(images: tf.Tensor) -> tf.Tensor:
        groups = bank.responses(images)
        for group in groups:
            _check_countable(*group.shape[2:])
        sizes = [group.shape[1] for group in groups]
        parts = [tf.split(values, sizes) for values in per_channel]
        return tf.concat([measure(*arguments) for arguments in zip(groups, *parts, strict=True)], -2)

    return measured


def _check_countable(height: int, width: int) -> None:
    largest = np.iinfo(np.uint16).max
    if height * width > largest:
        raise InputError(f"a response map has {height} x {width} pixels; descriptors count {largest} at most")


def _batches(
    domain: Domain, image_size: int, batch_size: int, measure: Callable, indices: np.ndarray | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """After every batch the number of images done so far, and the batch's `measure`."""
    if image_size < 1:
        raise InputError(f"the image size is {image_size}; it must be at least 1")
    view = functools.partial(squashed_view, image_size=image_size)
    images_spec = tf.TensorSpec((None, image_size, image_size, 3), tf.float32)
    graph = tf.function(measure, input_signature=[images_spec], autograph=False)
    done = 0
    for images in image_batches(domain, view, batch_size=batch_size, indices=indices):
        done += len(images)
        with _full_float32():
            measured = graph(images).numpy()
        yield done, measured


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Without TF32, which would round a GPU's products to 10 bits and move responses across bin edges."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _nobody(done: int, total: int) -> None:
    """Listens to no progress."""
