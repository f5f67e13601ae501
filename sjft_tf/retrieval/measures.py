"""By what descriptors are compared: histograms by Eq. (1), feature vectors by their squared distance."""

import dataclasses
from typing import Any, Protocol

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.retrieval.checks import check_epsilon, check_source, check_weights, map_sizes
from sjft_tf.retrieval.divergence import EPSILON
from sjft_tf.retrieval.lifts import FeatureLift, HistogramLift, Lift


class Measure(Protocol):
    """What a search must know of its descriptors."""

    def check_targets(self, targets: np.ndarray) -> None:
        """Raise InputError unless these can be compared with others."""

    def check_sources(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """Raise InputError unless these can be compared with the targets, which are in order."""

    def lift(self, targets: np.ndarray) -> Lift:
        """A lift made for these targets; which ones changes no divergence, only how tight the bounds are."""

    def config(self) -> list[Any]:
        """JSON values that change when a divergence would."""


@dataclasses.dataclass(frozen=True, eq=False)
class SymmetricKL:
    """Eq. (1) on `[n, D, bins]` histogram counts.

    Args:
        channel_weights: `[D]` float, 1 / (channels in the channel's group).
        epsilon: as in `symmetric_kl`.

    Raises:
        InputError: epsilon or a weight is out of range.
    """

    channel_weights: np.ndarray
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        object.__setattr__(self, "channel_weights", np.asarray(self.channel_weights, np.float64))

    def check_targets(self, targets: np.ndarray) -> None:
        """They are counts, of as many pixels in each image, in as many channels as there are weights."""
        check_weights(self.channel_weights, len(map_sizes(targets, "target")))

    def check_sources(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """They are counts of the same channels, bins and pixels."""
        check_source(sources, targets)

    def lift(self, targets: np.ndarray) -> Lift:
        """A lift to short vectors."""
        return HistogramLift.short(targets, self.channel_weights, self.epsilon)

    def config(self) -> list[Any]:
        """Name and values."""
        return ["symmetric KL", self.channel_weights.tolist(), self.epsilon]


@dataclasses.dataclass(frozen=True)
class SquaredDistance:
    """Squared distance of `[n, F]` feature vectors."""

    def check_targets(self, targets: np.ndarray) -> None:
        """They are finite floats."""
        _check_features(targets, "target")

    def check_sources(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """They are finite floats of the same length."""
        _check_features(sources, "source")
        if sources.shape[1] != targets.shape[1]:
            raise InputError(f"source features have length {sources.shape[1]}, target features {targets.shape[1]}")

    def lift(self, targets: np.ndarray) -> Lift:
        """The same lift for all."""
        return FeatureLift()

    def config(self) -> list[Any]:
        """Name."""
        return ["squared distance"]


def _check_features(features: np.ndarray, side: str) -> None:
    if features.ndim != 2 or 0 in features.shape or not np.issubdtype(features.dtype, np.floating):
        raise InputError(f"{side} features are {features.dtype} {features.shape}; expected float32 [images, features]")
    if not np.isfinite(features).all():
        raise InputError(f"{side} image {int(np.argmin(np.isfinite(features).all(axis=1)))} has features not finite")
