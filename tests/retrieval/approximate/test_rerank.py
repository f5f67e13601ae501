"""Ranking of candidates against a stable sort of the direct evaluation, and against exact search to the bit."""

import numpy as np
import pytest

from sjft_tf.retrieval import SquaredDistance, SymmetricKL, search_exact, squared_distance, symmetric_kl
from sjft_tf.retrieval import rerank as module
from sjft_tf.retrieval.rerank import LiftedSources, rerank


def propose(rng, n, n_source, c):
    return np.sort([rng.choice(n_source, c, replace=False) for _ in range(n)], axis=1)


def expected(divergences, candidates, max_k):
    """The first candidates in the order of float32 divergence, ties by index."""
    own = np.take_along_axis(divergences.astype(np.float32), candidates, axis=1)
    order = np.argsort(own, axis=1, kind="stable")[:, :max_k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(own, order, axis=1)


def lift_all(lift, sources):
    vectors = lift.sources(sources)
    return LiftedSources(vectors, np.sqrt(np.vecdot(vectors, vectors)))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("n", [1, 3, 25])
@pytest.mark.parametrize("size", [2**28, 2**12, 1])  # bytes for each kind of block
def test_table_is_a_stable_sort_of_the_candidates(rng, draw, weights, monkeypatch, kept, n, size):
    for name in ("_NEAR_BYTES", "_LIFTED_BYTES", "_SMALL_PRODUCT"):
        monkeypatch.setattr(module, name, size)
    targets, sources = draw(rng, n), draw(rng, 120)[rng.integers(0, 120, 200)]
    lift, candidates = SymmetricKL(weights).lift(targets), propose(rng, n, 200, 40)
    lifted = lift_all(lift, sources) if kept else None
    order = rng.permutation(n)
    table = rerank(targets, candidates, order, lift, sources.__getitem__, max_k=30, lifted=lifted)
    indices, divergences = expected(symmetric_kl(targets, sources, weights), candidates, 30)
    np.testing.assert_array_equal(table.indices, indices)
    np.testing.assert_array_equal(table.divergences, divergences)


@pytest.mark.parametrize("pixels", [(4, 4, 4), (196, 49, 100), (65535, 65535, 65535)])
def test_all_sources_as_candidates_make_the_exact_table(rng, draw, weights, pixels):
    targets, sources = draw(rng, 21, pixels=pixels), draw(rng, 150, pixels=pixels)
    sources[:10] = targets[:10]
    lift = SymmetricKL(weights).lift(targets)
    everything = np.tile(np.arange(150), (21, 1))
    table = rerank(targets, everything, np.arange(21), lift, sources.__getitem__, max_k=60)
    exact = search_exact(targets, sources, weights, max_k=60)
    np.testing.assert_array_equal(table.indices, exact.indices)
    np.testing.assert_array_equal(table.divergences.view(np.int32), exact.divergences.view(np.int32))


def test_features_are_ranked_by_their_distance(rng):
    targets, sources = rng.standard_normal((9, 20)).astype(np.float32), rng.standard_normal((80, 20)).astype(np.float32)
    candidates = propose(rng, 9, 80, 30)
    lift = SquaredDistance().lift(targets)
    table = rerank(targets, candidates, np.arange(9), lift, sources.__getitem__, max_k=20)
    indices, divergences = expected(squared_distance(targets, sources), candidates, 20)
    np.testing.assert_array_equal(table.indices, indices)
    np.testing.assert_array_equal(table.divergences, divergences)


def test_sources_are_asked_for_once_in_ascending_order(rng, draw, weights, monkeypatch):
    monkeypatch.setattr(module, "_LIFTED_BYTES", 2**12)
    targets, sources = draw(rng, 10), draw(rng, 200)
    candidates = propose(rng, 10, 200, 20)
    asked = []

    def describe(indices):
        asked.append(indices)
        return sources[indices]

    lift = SymmetricKL(weights).lift(targets)
    rerank(targets, candidates, np.arange(10), lift, describe, max_k=20)
    distinct = np.unique(candidates)
    np.testing.assert_array_equal(np.concatenate(asked)[: len(distinct)], distinct)
    assert len(asked) > 2
