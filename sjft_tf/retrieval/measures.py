"""By what descriptors are compared: histograms by Eq. (1) or Hellinger's distance, feature vectors by their distance."""

import dataclasses
from typing import Literal

import numpy as np

from sjft_tf.descriptors import FeatureExtractor, FilterBank
from sjft_tf.errors import InputError
from sjft_tf.retrieval.divergence import AUTHORS_EPSILON, SMOOTHING, Smoothing
from sjft_tf.retrieval.lifting import DistanceLift, Lift, LogarithmLift
from sjft_tf.retrieval.threads import for_each_tile

Divergence = Literal["kl", "hellinger"]
_ROWS = 512  # images checked at a time
_WEIGHTS = (1e-20, 1e20)  # between them the products of lifted vectors stay within float32
_ADDED = (1e-12, 10.0)  # counts: between them logarithms in float32 are as near as is promised


@dataclasses.dataclass(frozen=True, eq=False)
class HistogramMeasure:
    """Symmetric KL, Eq. (1), or squared Hellinger distance of `[n, D, bins]` histogram counts.

    Args:
        channel_weights, smoothing: as in `symmetric_kl`.
        divergence: "kl", of `symmetric_kl`, or "hellinger", of `squared_hellinger`.

    Raises:
        InputError: a value is out of range.
    """

    channel_weights: np.ndarray
    divergence: Divergence = "kl"
    smoothing: Smoothing = SMOOTHING

    def __post_init__(self) -> None:
        check_smoothing(self.divergence, self.smoothing)
        weights, (least, most) = np.asarray(self.channel_weights, np.float64), _WEIGHTS
        wrong = np.flatnonzero(~((weights >= least) & (weights <= most)))
        if len(wrong):
            raise InputError(
                f"the weight of channel {wrong[0]} is {weights.flat[wrong[0]]}; it must be from {least:g} to {most:g}"
            )
        object.__setattr__(self, "channel_weights", weights)

    def check(self, descriptors: np.ndarray, side: str, like: np.ndarray) -> None:
        """Raise InputError unless the descriptors of a `side`, target or source, belong to the target's, `like`.

        They are counts, of as many pixels in each image, in as many channels as there are weights.
        """
        if descriptors.shape[1:] != like.shape[1:]:
            raise InputError(
                f"source descriptors have shape {descriptors.shape} and target descriptors {like.shape}; "
                "channels and bins must be the same"
            )
        if descriptors.ndim != 3 or 0 in descriptors.shape or not np.issubdtype(descriptors.dtype, np.integer):
            raise InputError(
                f"{side} descriptors are {descriptors.dtype} {descriptors.shape}; expected uint16 "
                "[images, channels, bins]"
            )
        if self.channel_weights.shape != descriptors.shape[1:2]:
            raise InputError(
                f"channel weights have shape {self.channel_weights.shape}; there are {descriptors.shape[1]} channels"
            )
        _check_counts(descriptors, side, like[0].sum(axis=1, dtype=np.int64))

    def lift(self, targets: np.ndarray) -> Lift:
        """A lift for these targets; of others the divergences are the same but for rounding."""
        pixels, bins = targets[0].sum(axis=1, dtype=np.int64), targets.shape[2]
        if self.smoothing == "authors":
            added, totals = AUTHORS_EPSILON * pixels, pixels.astype(np.float64)
        else:
            added, totals = np.full(len(pixels), self.smoothing), pixels + self.smoothing * bins
        each_bin = (np.repeat(values, bins) for values in (added, self.channel_weights / totals))
        if self.divergence == "kl":
            return LogarithmLift.of(targets, *each_bin)
        added, weights = each_bin
        return DistanceLift.of(targets, np.sqrt(weights), added if self.smoothing != "authors" else 0 * added)


@dataclasses.dataclass(frozen=True)
class SquaredDistance:
    """Squared distance of `[n, F]` feature vectors."""

    def check(self, descriptors: np.ndarray, side: str, like: np.ndarray) -> None:
        """As by `HistogramMeasure`; they are finite floats of one length."""
        if descriptors.ndim != 2 or 0 in descriptors.shape or not np.issubdtype(descriptors.dtype, np.floating):
            raise InputError(
                f"{side} features are {descriptors.dtype} {descriptors.shape}; expected float32 [images, features]"
            )
        finite = np.isfinite(descriptors).all(axis=1)
        if not finite.all():
            raise InputError(f"{side} image {int(np.argmin(finite))} has features not finite")
        if descriptors.shape[1] != like.shape[1]:
            raise InputError(f"source features have length {descriptors.shape[1]}, target features {like.shape[1]}")

    def lift(self, targets: np.ndarray) -> Lift:
        """As of `HistogramMeasure`."""
        return DistanceLift.of(targets, np.full(targets.shape[1], np.sqrt(2)))


Measure = HistogramMeasure | SquaredDistance  # by what a search compares


def measure_for(
    bank: FilterBank | FeatureExtractor, *, divergence: Divergence = "kl", smoothing: Smoothing = SMOOTHING
) -> Measure:
    """What the descriptors of a bank are compared by; pooled features are no histograms, and take neither setting."""
    if isinstance(bank, FeatureExtractor):
        return SquaredDistance()
    return HistogramMeasure(bank.channel_weights, divergence, smoothing)


def check_smoothing(divergence: str, smoothing: Smoothing) -> None:
    """Raise InputError unless histograms can be compared so."""
    if divergence not in ("kl", "hellinger"):
        raise InputError(f'divergence is {divergence!r}; it must be "kl" or "hellinger"')
    if smoothing == "authors" or (smoothing == 0 and divergence == "hellinger"):
        return
    least, most = _ADDED
    if isinstance(smoothing, str) or not least <= smoothing <= most:
        zero = "" if divergence == "kl" else "0, "
        raise InputError(
            f'smoothing is {smoothing!r}; it must be {zero}"authors", or a number of counts from {least:g} to {most:g}'
        )


def _check_counts(counts: np.ndarray, side: str, pixels: np.ndarray) -> None:
    """Raise InputError unless each histogram of `[n, D, bins]` counts as many pixels as its channel, `[D]` int64."""
    if (pixels <= 0).any():
        raise InputError(f"target image 0 has no counts in channel {pixels.argmin()}; every response map has pixels")

    def check(rows: slice) -> None:
        part = counts[rows]
        totals = part.reshape(len(part), -1).sum(axis=1, dtype=np.int64)
        if (part[0].sum(axis=1, dtype=np.int64) != pixels).any() or (totals != pixels.sum()).any():
            sums = part.sum(axis=2, dtype=np.int64)
            image, channel = np.argwhere(sums != pixels)[0]
            raise InputError(
                f"{side} image {rows.start + image} has {sums[image, channel]} counts in channel {channel} and the first "
                f"target image has {pixels[channel]}; describe all images at one size"
            )
        if part.dtype.kind == "i" and (part < 0).any():
            raise InputError(f"{side} descriptors have a negative count; a bin counts pixels")

    for_each_tile(check, len(counts), rows=_ROWS)
