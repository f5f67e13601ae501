"""Domains in, bin edges and descriptors out: images stream through a bank or network while the next ones are decoded."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from sjft_tf.descriptors import histograms
from sjft_tf.descriptors.bank import FeatureExtractor, FilterBank
from sjft_tf.descriptors.edges import BinEdges, check_binning, edges_from_counts
from sjft_tf.domains import Domain, image_batches
from sjft_tf.errors import InputError
from sjft_tf.files import digest
from sjft_tf.images import squashed_view
from sjft_tf.progress import Progress

BATCH = 16
"""Images that a bank is given at a time, always so many: networks round by the number of images beside an image."""


def fit_bin_edges(
    target: Domain,
    bank: FilterBank,
    *,
    image_size: int,
    bins: int = 32,
    fine_bins: int = 2000,
    binning: str = "quantile",
    progress: Progress | None = None,
) -> BinEdges:
    """Bin edges from all images of the target: a first pass for the bounds, a second for the fine histogram.

    Args:
        image_size: side of the images given to the bank, in pixels.
        bins: bins per channel, from 2 to `fine_bins`.
        fine_bins: equal intervals between the bounds, from which the bins are made.
        binning: "quantile" (equal mass) or "authors" (the rule of their code).
        progress: told of both passes, so its total is twice the number of images.

    Raises:
        InputError: a value is out of range, the target is empty, a response is not finite, or a response map has
            more pixels than uint16 can count.

    Reference: Ge & Yu, CVPR 2017, section 3.2.
    """
    if not 2 <= bins <= fine_bins:
        raise InputError(f"the number of bins is {bins}; it must be from 2 to {fine_bins}")
    check_binning(binning)
    if len(target) == 0:
        raise InputError(f"{target.name} has no images; bin edges need at least one")
    tell: Progress = progress or (lambda done, total: None)

    def batches(measure: Callable, *per_channel: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        graph = BatchGraph(over_groups(bank, measure, *per_channel), image_size=image_size)
        return graph.batches(target)

    lower = np.full(len(bank.channel_weights), np.inf, np.float32)
    upper = -lower
    for done, limits in batches(histograms.bounds):
        lower, upper = np.minimum(lower, limits[0, :, 0]), np.maximum(upper, limits[1, :, 0])
        tell(done, 2 * len(target))
    if not np.isfinite([lower, upper]).all():
        raise InputError(f"the filter bank's responses to {target.name} are not finite")
    counts = np.zeros((len(lower), fine_bins), np.int64)
    measure = functools.partial(histograms.fine_counts, intervals=fine_bins)
    for done, batch_counts in batches(measure, lower, upper):
        counts += batch_counts
        tell(len(target) + done, 2 * len(target))
    return edges_from_counts(counts, lower, upper, bins=bins, binning=binning, channel_names=bank.channel_names)


class HistogramDescriber:
    """Counts how many pixels of each response map fall in each bin; a `Describer` of `[D, bins]` uint16.

    Args:
        bank: the filter bank with which `edges` were fitted.
        image_size: side of the images given to the bank, in pixels, as for `edges`.

    Raises:
        InputError: bank and edges differ in channels; by `describe`, a map has more pixels than uint16 can count.
    """

    dtype = np.dtype(np.uint16)

    def __init__(self, bank: FilterBank, edges: BinEdges, *, image_size: int) -> None:
        if len(edges.lower) != len(bank.channel_weights):
            channels = len(bank.channel_weights)
            raise InputError(f"the bin edges have {len(edges.lower)} channels; the filter bank has {channels}")
        self.bank, self.edges = bank, edges
        self.shape: tuple[int, ...] = (len(edges.lower), edges.bins)
        counts = over_groups(bank, histograms.histogram_counts, histograms.bin_thresholds(edges))
        self._graph = BatchGraph(counts, image_size=image_size)

    def config(self) -> list[Any]:
        """Bank, edges and image size."""
        edges = digest(self.edges.lower, self.edges.upper, self.edges.edges)
        return [self.bank.config(), edges, self._graph.image_size]

    def describe(
        self, domain: Domain, *, indices: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Descriptors of images, `[n, D, bins]` uint16; memory beside it is that of a few batches."""
        return self._graph.collect(domain, self.shape, self.dtype, indices, progress)


class FeatureDescriber:
    """Feature vectors of unit length, whose squared distance is 2 - 2 cos of the angle between them; a `Describer`.

    Args:
        extractor: what makes the vectors from images with a side of `image_size` pixels.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, extractor: FeatureExtractor, *, image_size: int) -> None:
        self.extractor = extractor
        self.shape: tuple[int, ...] = (extractor.n_features,)
        self._graph = BatchGraph(lambda images, n: extractor.features(images)[:n], image_size=image_size)

    def config(self) -> list[Any]:
        """Extractor, image and batch size."""
        return [self.extractor.config(), self._graph.image_size, BATCH]

    def describe(
        self, domain: Domain, *, indices: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Descriptors of images, `[n, F]` float32.

        Raises:
            InputError: the features of an image are all zero or not finite.
        """
        features = self._graph.collect(domain, self.shape, self.dtype, indices, progress).astype(np.float64)
        lengths = np.sqrt(np.vecdot(features, features))
        wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(wrong):
            position = wrong[0] if indices is None else indices[wrong[0]]
            raise InputError(
                f"{domain.name}: the features of {domain.ids[position]} are all zero or not finite; it cannot be compared"
            )
        return (features / lengths[:, None]).astype(self.dtype)


def over_groups(bank: FilterBank, measure: Callable, *per_channel: np.ndarray) -> Callable[..., tf.Tensor]:
    """From images, of which the first `n` count, to `measure(responses, *per_channel)` of each group.

    The groups' results are joined along the second-last axis.
    """

    def measured(images: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
        groups, most = [responses[:n] for responses in bank.responses(images)], np.iinfo(np.uint16).max
        for height, width in (group.shape[2:] for group in groups):
            if height * width > most:
                raise InputError(f"a response map has {height} x {width} pixels; descriptors count {most} at most")
        sizes = [group.shape[1] for group in groups]
        parts = [tf.split(values, sizes) for values in per_channel]
        return tf.concat([measure(*arguments) for arguments in zip(groups, *parts, strict=True)], -2)

    return measured


class BatchGraph:
    """One graph from a batch of images to what is measured of them, with decoding of the next batches beside it.

    The graph always sees `BATCH` images, the last batch filled up with black ones: so an image is computed the same way,
    to the bit, at the same place of a batch, whatever stands beside it. At another place it may round differently,
    because products of matrices, which convolutions are in some kernels, go over the border of two images; a bank that
    takes its products image by image computes it the same way at every place.

    Args:
        measure: from `[BATCH, S, S, 3]` float32 images and the number n of them that count, to a tensor.
        image_size: S, in pixels; InputError unless it is positive.
    """

    def __init__(self, measure: Callable[..., tf.Tensor], *, image_size: int) -> None:
        if image_size < 1:
            raise InputError(f"the image size is {image_size}; it must be at least 1")
        self.image_size = image_size
        images = tf.TensorSpec((BATCH, image_size, image_size, 3), tf.float32)
        self._graph = tf.function(measure, input_signature=[images, tf.TensorSpec((), tf.int32)], autograph=False)

    def batches(self, domain: Domain, indices: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """After every batch the number of images done so far, and what was measured."""
        view = functools.partial(squashed_view, image_size=self.image_size)
        done = 0
        for images in image_batches(domain, view, batch_size=BATCH, indices=indices):
            n = len(images)
            done += n
            with _full_float32():
                measured = self._graph(tf.pad(images, ((0, BATCH - n), (0, 0), (0, 0), (0, 0))), n).numpy()
            yield done, measured

    def collect(
        self,
        domain: Domain,
        shape: tuple[int, ...],
        dtype: np.dtype,
        indices: np.ndarray | None,
        progress: Progress | None,
    ) -> np.ndarray:
        """What was measured, `[n, *shape]`, of a graph that measures every image by itself."""
        total = len(domain) if indices is None else len(indices)
        collected = np.empty((total, *shape), dtype)
        for done, measured in self.batches(domain, indices):
            collected[done - len(measured) : done] = measured
            if progress:
                progress(done, total)
        return collected


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Without TF32, which would round a GPU's products to 10 bits and move responses across bin edges."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
