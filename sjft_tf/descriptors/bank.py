"""What the descriptor engine asks of a filter bank or a feature extractor, and what banks have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf


class FilterBank(Protocol):
    """Turns images into response maps, in groups whose maps may differ in size (the layers of a network, say).

    Channels are numbered through all groups, in the order in which `responses` returns them.

    Attributes:
        channel_weights: `[D]` float64, 1 / (channels in the channel's group): w_h of Eq. (1).
        channel_names: `[D]`, for messages.
    """

    channel_weights: np.ndarray
    channel_names: Sequence[str]

    def responses(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Response maps of a batch; callable inside a `tf.function`.

        Called directly, an image's maps may depend on the size of the batch by rounding; descriptors are made in batches
        of one size (see `BatchGraph`), within which they must depend neither on an image's place nor on the others.

        Args:
            images: `[B, S, S, 3]` float32 RGB, 0..255.

        Returns:
            One `[B, C_g, h, w]` float32 tensor for each group, shape known but for B. Channels come before pixels,
            because a histogram runs over the pixels of one channel.
        """

    def config(self) -> dict[str, Any]:
        """JSON values that change when any response would; artifacts made with the bank are hashed with them."""


@runtime_checkable
class FeatureExtractor(Protocol):
    """Turns images into vectors of `n_features` numbers."""

    n_features: int

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """`[B, S, S, 3]` float32 RGB, 0..255, to `[B, n_features]` float32; callable inside a `tf.function`."""

    def config(self) -> dict[str, Any]:
        """JSON values that change when any feature would."""


def of_groups(sizes: Mapping[str, int], noun: str) -> tuple[np.ndarray, Sequence[str]]:
    """A bank's `channel_weights` and `channel_names`, from the number of channels by group; `noun` is what one is called."""
    channels = list(sizes.values())
    names = tuple(f"{group}, {noun} {i}" for group, size in sizes.items() for i in range(size))
    return np.repeat(1 / np.array(channels), channels), names


def channels_first(groups: Iterable[tf.Tensor]) -> list[tf.Tensor]:
    """A bank's `responses`, from `[B, h, w, C]` maps of each group."""
    return [tf.transpose(tf.cast(maps, tf.float32), (0, 3, 1, 2)) for maps in groups]
