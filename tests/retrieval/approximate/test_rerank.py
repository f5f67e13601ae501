"""Ranking of candidates against a direct evaluation of theirs."""

import numpy as np
import pytest

from sjft_tf.retrieval import HistogramMeasure, SquaredDistance, search_exact, squared_distance
from sjft_tf.retrieval.approximate import rerank as module
from sjft_tf.retrieval.approximate.rerank import near_each_other, rerank


def propose(rng, n, n_source, c):
    return np.sort([rng.choice(n_source, c, replace=False) for _ in range(n)], axis=1)


def only(candidates, divergences):
    """The divergences, but that others than the candidates are as far as can be."""
    others = np.full(divergences.shape, 1e9)
    np.put_along_axis(others, candidates, np.take_along_axis(divergences, candidates, axis=1), axis=1)
    return others


@pytest.mark.parametrize("n", [1, 3, 150])
@pytest.mark.parametrize("c", [40, 180])
@pytest.mark.parametrize("whole", [0.0, 0.7, 1.0])
def test_table_is_the_nearest_of_the_candidates(
    rng, draw, direct, promised, weights, assert_ranked, monkeypatch, n, c, whole
):
    monkeypatch.setattr(module, "_WHOLE", whole)
    targets, sources = draw(rng, n), draw(rng, 900)
    lift, candidates = HistogramMeasure(weights).lift(targets), propose(rng, n, 900, c)
    monkeypatch.setattr(module, "_LIFTED_BYTES", 4 * lift.depth * 256)  # four tiles
    monkeypatch.setattr(module, "_LEAST_ROWS", 1)
    table = rerank(targets, candidates, rng.permutation(n), lift, sources.__getitem__, depth=30)
    divergences = direct(targets, sources, weights)
    errors = promised(divergences, targets, sources, weights)
    assert_ranked(table, only(candidates, divergences), errors)


def test_all_sources_as_candidates_make_the_exact_table(rng, draw, weights):
    targets, sources = draw(rng, 21), draw(rng, 150)
    everything = np.tile(np.arange(150), (21, 1))
    lift = HistogramMeasure(weights).lift(targets)
    table = rerank(targets, everything, np.arange(21), lift, sources.__getitem__, depth=60)
    exact = search_exact(targets, sources, weights, depth=60)
    np.testing.assert_allclose(table.divergences, exact.divergences, rtol=1e-5)
    assert (table.indices == exact.indices).mean() > 0.99


def test_features_are_ranked_by_their_distance(rng, assert_ranked):
    targets, sources = rng.standard_normal((9, 20)).astype(np.float32), rng.standard_normal((80, 20)).astype(np.float32)
    candidates = propose(rng, 9, 80, 30)
    table = rerank(
        targets, candidates, np.arange(9), SquaredDistance().lift(targets), sources.__getitem__, depth=20
    )  # fmt: skip
    assert_ranked(table, only(candidates, squared_distance(targets, sources)), np.full((9, 80), 1e-4))


def test_sources_are_asked_for_once_in_ascending_order(rng, draw, weights, monkeypatch):
    targets, sources = draw(rng, 10), draw(rng, 2000)
    lift, candidates = HistogramMeasure(weights).lift(targets), propose(rng, 10, 2000, 20)
    monkeypatch.setattr(module, "_LIFTED_BYTES", 4 * lift.depth * 256)
    monkeypatch.setattr(module, "_LEAST_ROWS", 1)
    asked = []

    def describe(indices):
        asked.append(indices)
        return sources[indices]

    rerank(targets, candidates, np.arange(10), lift, describe, depth=20)
    np.testing.assert_array_equal(np.concatenate(asked), np.unique(candidates))
    assert len(asked) == 8  # of 256 images each


@pytest.mark.parametrize("n", [1, 2, 16, 100])
def test_similar_targets_are_put_together(rng, n):
    order = near_each_other(rng.standard_normal((n, 5)))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    kinds = rng.permutation(np.repeat(np.arange(8), 16))
    corners = 100 * (kinds[:, None] >> np.arange(3) & 1)
    near = near_each_other(corners + rng.standard_normal((128, 3)))
    assert (kinds[near].reshape(8, 16) == kinds[near].reshape(8, 16)[:, :1]).all()
