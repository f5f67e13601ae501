"""The bounds on which exact search rests, held against `symmetric_kl` pair by pair."""

import concurrent.futures

import numpy as np
import pytest

from sjft_tf.retrieval import symmetric_kl
from sjft_tf.retrieval.divergence import EPSILON
from sjft_tf.retrieval.lifted import LiftedTargets
from sjft_tf.retrieval.lifts import HistogramLift


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["random", "crowded", "alone"])
def sides(request, rng, draw):
    """Targets and sources: far apart; within a few pixels, where the lift cancels; with a single target image."""
    if request.param == "random":
        return draw(rng, 40), draw(rng, 500)
    if request.param == "alone":
        return draw(rng, 1), draw(rng, 500)
    base = draw(rng, 1, pixels=(50000, 60000, 40000)).astype(np.int64) + 3
    crowd = base + rng.integers(0, 3, (540, 3, 1)) * np.array([1, -1, 0, 0, 0, 0])
    return crowd[:40], crowd[40:]


@pytest.fixture(params=[(0.0, 1.0), (-15.0, 10.0), None], ids=["plain", "shifted", "short"])
def lift(request, sides, weights):
    if request.param is None:
        return HistogramLift.short(sides[0], weights, EPSILON)
    center, scale = request.param
    return HistogramLift(weights, sides[0][0].sum(axis=1), np.full(sides[0].shape[1:], center), scale, EPSILON)


def test_no_score_is_above_divergence_less_offset(pool, sides, lift, weights):
    targets, sources = sides
    scores = np.empty((len(targets), len(sources)), np.float32)
    errors = LiftedTargets(targets, lift, source_rows=len(sources), pool=pool).scores(sources, scores)
    _, offsets = lift.targets(targets)
    exact = symmetric_kl(targets, sources, weights) - offsets[:, None]
    assert (scores <= exact).all()
    # nor further below than is said, nor far: the bound of 37 products and 8 more, of the lift, and again of what they bound
    lengths = np.linalg.norm(lift.targets(targets)[0], axis=1)[:, None], np.linalg.norm(lift.sources(sources), axis=1)
    assert (exact - scores <= lengths[0] * errors + 1e-9).all()
    assert (errors <= 2.2 * (1.1 * 45 * 2.0**-24 * lengths[1] + lift.errors32(lengths[1]))).all()


def test_scores_up_to_the_ceiling_include_all_pairs_of_that_divergence(pool, sides, lift, weights):
    targets, sources = sides
    scores = np.empty((len(targets), len(sources)), np.float32)
    lifted = LiftedTargets(targets, lift, source_rows=len(sources), pool=pool)
    lifted.scores(sources, scores)
    divergences = symmetric_kl(targets, sources, weights).astype(np.float32)
    for j in range(0, len(sources), 50):
        ceilings = np.broadcast_to(lifted.ceilings(divergences[:, j])[:, None], scores.shape)
        near = divergences <= divergences[:, j : j + 1]
        assert (scores[near] <= ceilings[near]).all()


def test_a_ceiling_is_above_all_that_rounds_to_its_divergence(pool, sides, lift):
    lifted, (_, offsets) = LiftedTargets(sides[0], lift, source_rows=1, pool=pool), lift.targets(sides[0])
    for divergence in np.logspace(-6, 6, 50).astype(np.float32):
        rounds_to_it = (np.float64(divergence) + np.nextafter(divergence, np.float32(np.inf))) / 2 - offsets
        assert (lifted.ceilings(np.full(len(sides[0]), divergence)) >= rounds_to_it).all()


def test_divergences_of_chosen_pairs_are_symmetric_kl_to_the_last_bit(rng, pool, sides, lift, weights):
    targets, sources = sides
    lifted = LiftedTargets(targets, lift, source_rows=len(sources), pool=pool)
    expected = symmetric_kl(targets, sources, weights).astype(np.float32)
    for share in (1.0, 0.1, 0.002):
        rows, columns = np.nonzero(rng.random(expected.shape) < share)
        np.testing.assert_array_equal(lifted.divergences(sources, rows, columns), expected[rows, columns])


def test_a_short_lift_is_shorter_than_a_plain_one(sides, weights):
    short, plain = (
        HistogramLift.short(sides[0], weights, EPSILON),
        HistogramLift(weights, sides[0][0].sum(axis=1), np.zeros(sides[0].shape[1:]), 1.0, EPSILON),
    )
    lengths = [np.linalg.norm(lift.targets(sides[0])[0], axis=1).max() for lift in (short, plain)]
    lengths_of_sources = [np.linalg.norm(lift.sources(sides[1]), axis=1).max() for lift in (short, plain)]
    assert lengths[0] * lengths_of_sources[0] < lengths[1] * lengths_of_sources[1]
