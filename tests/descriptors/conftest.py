"""The descriptor written again in float64 NumPy, one channel after another, and synthetic images to try it on."""

import types

import numpy as np
import pytest
import scipy.signal

from sjft_tf.descriptors.gabor import gabor_kernels


def slow_responses(luma, scales, orientations, size=None):
    """`[h, w]` to `[channels, h, w]`: one kernel after the other over the padded image."""
    kernels = [kernel for scale in gabor_kernels(scales, orientations, size) for kernel in scale]
    padded = {k.shape[-1]: np.pad(luma, k.shape[-1] // 2, mode="symmetric") for k in kernels}
    maps = np.stack([scipy.signal.convolve(padded[k.shape[-1]], k, mode="valid") for k in kernels])
    return np.concatenate([maps.real, maps.imag])


def slow_fine_counts(responses, lower, upper, intervals):
    """`[C, n]` to `[C, intervals]`, one response after the other."""
    counts = np.zeros((len(responses), intervals), int)
    for channel, (values, low, high) in enumerate(zip(np.float64(responses), lower, upper, strict=True)):
        width = (np.float64(high) - low) / intervals if high > low else 1
        indices = np.clip(np.trunc((values - low) / width).astype(int), 0, intervals - 1)
        np.add.at(counts[channel], indices, 1)
    return counts


def slow_counts(responses, edges):
    """`[C, n]` to `[C, bins]`: the lower clamp comes first."""
    counts = np.zeros((len(responses), edges.bins), int)
    for channel, values in enumerate(responses):
        indices = np.searchsorted(edges.edges[channel], values, side="right")
        indices = np.where(values >= edges.upper[channel], edges.bins - 1, indices)
        indices = np.where(values <= edges.lower[channel], 0, indices)
        np.add.at(counts[channel], indices, 1)
    return counts


@pytest.fixture(scope="session")
def slow():
    return types.SimpleNamespace(responses=slow_responses, fine_counts=slow_fine_counts, counts=slow_counts)
