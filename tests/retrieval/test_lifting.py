"""Looked-up lifts against the written-out ones, and what float32 may lose."""

import concurrent.futures

import numpy as np
import pytest

from sjft_tf.retrieval import lift_sources, symmetric_kl
from sjft_tf.retrieval.lifted import LiftedTargets, similar_together
from sjft_tf.retrieval.lifts import FeatureLift, HistogramLift


@pytest.mark.parametrize("pixels", [(196, 49, 100), (64, 64, 64), (65535, 4, 65535)])
@pytest.mark.parametrize("epsilon", [1e-300, 2.2204e-16, 1e-2])
def test_looked_up_vectors_are_the_written_out_ones(rng, draw, weights, pixels, epsilon):
    lift = HistogramLift.short(draw(rng, 9, pixels=pixels), weights, epsilon)
    sources = draw(rng, 50, pixels=pixels)
    expected = lift_sources(sources, weights, center=lift.center, scale=lift.scale, epsilon=epsilon)
    np.testing.assert_allclose(lift.sources(sources), expected, rtol=1e-12, atol=1e-12)


def test_float32_vectors_are_as_near_as_is_said(rng, draw, weights):
    targets, sources = draw(rng, 40), draw(rng, 300)
    for lift in (
        HistogramLift.short(targets, weights, 2.2204e-16),
        HistogramLift(weights, targets[0].sum(axis=1), np.full((3, 6), -30.0), 4.0, 2.2204e-16),
    ):
        exact = lift.sources(sources)
        near = lift.sources(sources, out=np.empty(exact.shape, np.float32))
        u, lengths = lift.targets(targets)[0], np.linalg.norm(exact, axis=1)
        lost = np.abs(u @ (exact - near.astype(np.float64)).T) / np.linalg.norm(u, axis=1)[:, None]
        assert 0 < lost.max() and (lost <= lift.errors32(lengths)).all()


def test_features_have_vectors_in_both_precisions(rng):
    features = rng.normal(size=(5, 4))
    exact = FeatureLift().sources(features)
    np.testing.assert_allclose(exact, np.column_stack([features, -(features**2).sum(axis=1)]), rtol=1e-15)
    near = FeatureLift().sources(features, out=np.empty((5, 5), np.float32))
    np.testing.assert_array_equal(near, exact.astype(np.float32))


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100])
def test_similar_vectors_are_put_together(rng, n):
    order = similar_together(rng.normal(size=(n, 40)).astype(np.float32), 16)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_groups_hold_what_belongs_together(rng):
    kinds = rng.permutation(np.repeat(np.arange(8), 16))
    vectors = 10 * rng.normal(size=(8, 50))[kinds] + rng.normal(size=(128, 50))
    groups = kinds[similar_together(vectors.astype(np.float32), 16)].reshape(8, 16)
    assert (groups == groups[:, :1]).all()


def test_pairs_may_be_in_any_order_and_sources_of_any_number(rng, draw, weights):
    targets, sources = draw(rng, 50), draw(rng, 200)
    rows, columns = rng.integers(0, 50, 900), rng.integers(0, 200, 900)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        lifted = LiftedTargets(targets, HistogramLift.short(targets, weights, 1e-9), source_rows=64, pool=pool)
        values = lifted.divergences(sources, rows, columns)
        assert not len(lifted.divergences(sources, rows[:0], columns[:0]))
    expected = symmetric_kl(targets, sources, weights, epsilon=1e-9).astype(np.float32)
    np.testing.assert_array_equal(values, expected[rows, columns])
