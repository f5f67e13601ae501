"""Descriptors drawn at random, Eq. (1) written again in long double, and domains that live in memory."""

import numpy as np
import pytest
import tensorflow as tf

PIXELS = (196, 49, 100)  # of the response maps, two groups of which have one and two channels
WEIGHTS = np.array([1, 1 / 2, 1 / 2])


class Colors:
    """A filter bank whose response maps are the image's red, green and blue."""

    channel_weights = WEIGHTS
    channel_names = ("red", "green", "blue")

    def responses(self, images):
        return [tf.transpose(images, (0, 3, 1, 2))]

    def config(self):
        return {"bank": "colors"}


def draw_counts(rng, n, *, pixels=PIXELS, bins=6):
    """`[n, D, bins]` descriptors with many small and empty bins."""
    shares = rng.dirichlet(np.full(bins, 0.3), (n, len(pixels)))
    return rng.multinomial(pixels, shares).astype(np.uint16)


def direct_divergences(target_counts, source_counts, weights, epsilon=2.2204e-16):
    """Eq. (1), one target image after the other, rounded to float64 at the end."""
    p, q = (np.longdouble(counts) / counts.sum(axis=2, keepdims=True) for counts in (target_counts, source_counts))
    rows = [((row - q) * np.log((row + epsilon) / (q + epsilon))).sum(axis=2) @ np.longdouble(weights) for row in p]
    return np.array(rows).astype(np.float64)


def assert_ranks(table, divergences):
    """The table holds the first of the `[n, m]` divergences: ascending as float32, equal ones by index."""
    divergences = divergences.astype(np.float32)
    order = np.argsort(divergences, axis=1, kind="stable")[:, : table.max_k]
    np.testing.assert_array_equal(table.indices, order)
    np.testing.assert_array_equal(table.divergences, np.take_along_axis(divergences, order, axis=1))


@pytest.fixture(scope="session")
def colors():
    return Colors


@pytest.fixture(scope="session")
def draw():
    return draw_counts


@pytest.fixture(scope="session")
def direct():
    return direct_divergences


@pytest.fixture(scope="session")
def assert_ranked():
    return assert_ranks


@pytest.fixture(scope="session")
def weights():
    return WEIGHTS
