"""The embedding against the lifted inner products it stands for, and against the best approximation there is."""

import numpy as np
import pytest

from sjft_tf.retrieval import HistogramMeasure, SquaredDistance
from sjft_tf.retrieval.approximate.embedding import fit_embedding
from sjft_tf.retrieval.lifting import lift_targets


def centered(matrix):
    """Without what is constant in a row, which changes no ranking."""
    return matrix - matrix.mean(axis=1, keepdims=True)


def embedded(embedding, targets, sources):
    return embedding.targets(targets) @ embedding.sources(sources).T


def lifted(lift, targets, sources):
    """What is to be ranked by: the nearest first where it descends."""
    v = np.empty((len(sources), lift.depth), np.float32)
    lift.sources(sources, v)
    return -lift_targets(targets, lift).astype(np.float64) @ v.T


def test_products_of_all_dimensions_rank_as_the_divergence(rng, draw, weights):
    targets, sources = draw(rng, 20), draw(rng, 300)
    lift = HistogramMeasure(weights).lift(targets)
    embedding = fit_embedding(targets, sources, lift, dimensions=1000)
    assert embedding.dimensions < 20 + 1  # the targets differ in no more directions
    products, expected = embedded(embedding, targets, sources), lifted(lift, targets, sources)
    np.testing.assert_allclose(centered(products), centered(expected), atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dimensions", [1, 4, 10])
def test_error_on_the_sample_is_the_least_that_so_many_dimensions_have(rng, draw, weights, dimensions):
    targets, sources = draw(rng, 30), draw(rng, 100)
    lift = HistogramMeasure(weights).lift(targets)
    embedding = fit_embedding(targets, sources, lift, dimensions=dimensions)
    rest = centered(lifted(lift, targets, sources))
    error = np.linalg.norm(centered(embedded(embedding, targets, sources)) - rest)
    rest -= rest.mean(axis=0)  # what all targets agree on is exact
    least = np.linalg.norm(np.linalg.svd(rest, compute_uv=False)[dimensions:])
    assert least == pytest.approx(error, rel=1e-3)


def test_more_sources_than_targets_and_fewer_are_fitted_alike(rng, draw, weights):
    targets, sources = draw(rng, 60), draw(rng, 25)
    lift = HistogramMeasure(weights).lift(targets)
    embedding = fit_embedding(targets, sources, lift, dimensions=1000)
    products, expected = embedded(embedding, targets, sources), lifted(lift, targets, sources)
    np.testing.assert_allclose(centered(products), centered(expected), atol=1e-4 * np.abs(expected).max())


def test_images_outside_the_sample_are_ranked_nearly_as_exactly(rng, draw, weights):
    kinds = rng.dirichlet(np.ones(6), (3, 3))  # of image, by channel
    mixtures = np.einsum("nk,kcb->ncb", rng.dirichlet(np.ones(3), 540), kinds)
    counts = rng.multinomial((196, 49, 100), mixtures).astype(np.uint16)
    targets, sources = counts[:40], counts[40:]
    lift = HistogramMeasure(weights).lift(targets)
    embedding = fit_embedding(targets[::2], sources[::3], lift, dimensions=12)
    exact, ours = lifted(lift, targets, sources), embedded(embedding, targets, sources)
    nearest, candidates = np.argsort(-exact, axis=1)[:, :50], np.argsort(-ours, axis=1)[:, :100]
    recall = np.mean([np.isin(one, other).mean() for one, other in zip(nearest, candidates, strict=True)])
    assert recall > 0.99


def test_features_are_embedded_too(rng):
    targets, sources = rng.standard_normal((10, 30)), rng.standard_normal((50, 30))
    lift = SquaredDistance().lift(targets)
    embedding = fit_embedding(targets, sources, lift, dimensions=100)
    distances = np.square(targets[:, None] - sources).sum(axis=2)
    products = embedded(embedding, targets, sources)
    np.testing.assert_allclose(centered(-products), centered(distances), atol=1e-3)
