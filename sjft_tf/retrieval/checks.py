"""Do descriptors and weights belong together? One line for the user if not."""

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.retrieval.tiles import tiles

_ROWS = 4096  # images at a time


_WEIGHTS = (1e-20, 1e20)  # between them the products of lifted vectors stay within float32


def check_max_k(max_k: int) -> None:
    """Raise InputError unless so many neighbors can be asked for."""
    if max_k < 1:
        raise InputError(f"max_k is {max_k}; it must be 1 or more")


def check_epsilon(epsilon: float) -> None:
    """Raise InputError unless it can stand inside the logarithms."""
    if not 0 < epsilon < 1:
        raise InputError(f"epsilon is {epsilon}; it must be above 0 and below 1")


def check_weights(channel_weights: np.ndarray, n_channels: int) -> None:
    """Raise InputError unless every channel has one weight, from 1e-20 to 1e20."""
    if channel_weights.shape != (n_channels,):
        raise InputError(f"channel weights have shape {channel_weights.shape}; there are {n_channels} channels")
    lowest, highest = _WEIGHTS
    wrong = np.flatnonzero(~((channel_weights >= lowest) & (channel_weights <= highest)))
    if len(wrong):
        weight = channel_weights[wrong[0]]
        raise InputError(f"the weight of channel {wrong[0]} is {weight}; it must be from {lowest:g} to {highest:g}")


def check_source(source_counts: np.ndarray, target_counts: np.ndarray) -> None:
    """Raise InputError unless the source's descriptors can be compared with the target's, which are in order."""
    if source_counts.shape[1:] != target_counts.shape[1:]:
        raise InputError(
            f"source descriptors have shape {source_counts.shape} and target descriptors {target_counts.shape}; "
            "channels and bins must be the same"
        )
    sizes, expected = map_sizes(source_counts, "source"), map_sizes(target_counts[:1], "target")
    if (sizes != expected).any():
        channel = int((sizes != expected).argmax())
        raise InputError(
            f"channel {channel} counts {sizes[channel]} pixels in the source and {expected[channel]} in the target; "
            "describe both at one image size"
        )


def map_sizes(counts: np.ndarray, side: str) -> np.ndarray:
    """The number of pixels of each channel's response map, `[D]` int64, which must be the same in all images.

    Args:
        counts: `[n, D, bins]` descriptors.
        side: "target" or "source", for the message.

    Raises:
        InputError: `counts` is no array of descriptors, or has no images, or they differ in the pixels of a map.
    """
    if counts.ndim != 3 or 0 in counts.shape or not np.issubdtype(counts.dtype, np.integer):
        raise InputError(
            f"{side} descriptors are {counts.dtype} {counts.shape}; expected uint16 [images, channels, bins]"
        )
    sizes = counts[0].sum(axis=1, dtype=np.int64)
    if (sizes <= 0).any():
        raise InputError(f"{side} image 0 has no counts in channel {sizes.argmin()}; every response map has pixels")
    for tile in tiles(len(counts), _ROWS):
        sums = counts[tile].sum(axis=2, dtype=np.int64)
        if (sums != sizes).any():
            image, channel = np.argwhere(sums != sizes)[0]
            raise InputError(
                f"{side} image {tile.start + image} has {sums[image, channel]} counts in channel {channel} and "
                f"image 0 has {sizes[channel]}; describe all images at one size"
            )
        if (counts[tile] < 0).any():
            raise InputError(f"{side} descriptors have a negative count; a bin counts pixels")
    return sizes
