"""Products of lifted vectors against the divergences they stand for, and FAISS on the same vectors."""

import faiss
import numpy as np
import pytest

from sjft_tf.retrieval import HistogramMeasure, SquaredDistance, squared_distance, squared_hellinger, symmetric_kl
from sjft_tf.retrieval.lifting import lift_sources, lift_targets


def lifted(measure, targets, sources):
    lift = measure.lift(targets)
    v = np.empty((len(sources), lift.depth), np.float32)
    lift_sources(sources, lift, v)
    return lift_targets(targets, lift), v


@pytest.mark.parametrize("smoothing", ["authors", 0.5])
@pytest.mark.parametrize(("divergence", "definition"), [("kl", symmetric_kl), ("hellinger", squared_hellinger)])
def test_products_are_divergences(rng, draw, weights, divergence, definition, smoothing):
    targets, sources = draw(rng, 600), draw(rng, 700)  # more than one part of either
    u, v = lifted(HistogramMeasure(weights, divergence, smoothing), targets, sources)
    assert u.dtype == v.dtype == np.float32
    expected = definition(targets, sources, weights, smoothing=smoothing)
    scale = np.abs(u[:, -2:-1]) + np.abs(v[:, -1])
    assert (np.abs(u.astype(float) @ v.T.astype(float) - expected) <= 1e-6 * np.maximum(scale, 1)).all()


def test_products_of_features_are_squared_distances(rng):
    targets, sources = (rng.standard_normal((n, 30)).astype(np.float32) for n in (40, 300))
    u, v = lifted(SquaredDistance(), targets, sources)
    np.testing.assert_allclose(u.astype(float) @ v.T.astype(float), squared_distance(targets, sources), atol=2e-5)


def test_hellingers_vectors_are_half_as_long(rng, draw, weights):
    targets = draw(rng, 5)
    kl, hellinger = (HistogramMeasure(weights, name).lift(targets).depth for name in ("kl", "hellinger"))
    assert (kl, hellinger) == (2 * 18 + 2, 18 + 2)


def test_faiss_finds_the_nearest_by_inner_product(rng, draw, direct, weights):
    targets, sources = draw(rng, 20), draw(rng, 400)
    u, v = lifted(HistogramMeasure(weights), targets, sources)
    index = faiss.IndexFlatIP(v.shape[1])
    index.add(v)
    products, found = index.search(-u, 10)
    divergences = direct(targets, sources, weights)
    np.testing.assert_array_equal(found, divergences.argsort(axis=1)[:, :10])  # no near-ties among these
    np.testing.assert_allclose(-products, np.take_along_axis(divergences, found, axis=1), atol=1e-4)
