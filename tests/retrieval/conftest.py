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


def histograms(counts, smoothing):
    """Smoothed histograms and what stands for their logarithms, in long double."""
    counts, bins = np.longdouble(counts), counts.shape[2]
    pixels = counts.sum(axis=2, keepdims=True)
    if smoothing == "authors":
        return counts / pixels, np.log(counts / pixels + np.longdouble(2.2204e-16))
    p = (counts + smoothing) / (pixels + smoothing * bins)
    return p, np.log(p)


def direct_divergences(target_counts, source_counts, weights, smoothing=0.01):
    """Eq. (1), one target image after the other, rounded to float64 at the end."""
    (p, log_p), (q, log_q) = (histograms(counts, smoothing) for counts in (target_counts, source_counts))
    rows = [((p[i] - q) * (log_p[i] - log_q)).sum(axis=2) @ np.longdouble(weights) for i in range(len(p))]
    return np.array(rows).astype(np.float64)


def promised_errors(divergences, target_counts, source_counts, weights, smoothing=0.01):
    """How far from these divergences a search may be, `[n, m]`."""
    means = [values.mean(axis=0) for values in histograms(target_counts, smoothing)]
    own = []
    for counts in (target_counts, source_counts):
        p, log_p = (values - mean for values, mean in zip(histograms(counts, smoothing), means, strict=True))
        own.append(((p * log_p).sum(axis=2) @ np.longdouble(weights)).astype(np.float64))
    return np.maximum(1e-5 * divergences, 1e-6 * (own[0][:, None] + own[1]))


def assert_ranks(table, divergences, errors):
    """The rows hold the nearest by `[n, m]` divergences, and their divergences, but for `[n, m]` errors."""
    held, allowed = (np.take_along_axis(of, table.indices, axis=1) for of in (divergences, errors))
    assert (np.abs(table.divergences - held) <= allowed).all()
    left_out, farthest = divergences + errors, (held - allowed).max(axis=1)
    np.put_along_axis(left_out, table.indices, np.inf, axis=1)
    assert (left_out.min(axis=1) >= farthest).all()


def assert_one_table(table, other):
    """Equal to the bit."""
    np.testing.assert_array_equal(table.indices, other.indices)
    np.testing.assert_array_equal(table.divergences.view(np.int32), other.divergences.view(np.int32))


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
def promised():
    return promised_errors


@pytest.fixture(scope="session")
def assert_ranked():
    return assert_ranks


@pytest.fixture(scope="session")
def assert_nearest(direct, promised):
    """Against Eq. (1)."""

    def check(table, targets, sources, weights, smoothing=0.01):
        divergences = direct(targets, sources, weights, smoothing)
        assert_ranks(table, divergences, promised(divergences, targets, sources, weights, smoothing))

    return check


@pytest.fixture(scope="session")
def assert_same():
    return assert_one_table


@pytest.fixture(scope="session")
def weights():
    return WEIGHTS
