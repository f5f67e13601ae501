"""Eq. (2) and (3) against the specification's worked example and independent evaluations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from sjft_tf.errors import InputError
from sjft_tf.selection import deepest_k, entropy, expand_counts, outcome

RULE = {"k0": 100, "sigma0": 4, "sigma1": 2, "delta": 0.1, "max_k": 10**6}
# Specification 6.2: probabilities, true class, entropy, next K, with K_0 = K = 100.
EXAMPLE = [
    ([0.2, 0.7, 0.1], 0, 0.8018185525, 500),
    ([0.8, 0.1, 0.1], 0, 0.6390318597, 300),
    ([0.98, 0.01, 0.01], 0, 0.1119020570, 300),
    ([0.99, 0.005, 0.005], 0, 0.0629330062, 100),
    ([0.5, 0.5, 0], 1, 0.6931471806, 500),
    ([1, 0, 0], 0, 0.0, 100),
]


def test_worked_example_of_the_specification():
    probabilities = np.array([p for p, _, _, _ in EXAMPLE])
    correct = probabilities.argmax(-1) == [true for _, true, _, _ in EXAMPLE]
    entropies = entropy(probabilities)
    np.testing.assert_allclose(entropies, [h for _, _, h, _ in EXAMPLE], atol=5e-11)
    counts = expand_counts(np.full(6, 100), entropies, correct, **RULE)
    assert counts.tolist() == [k for _, _, _, k in EXAMPLE]
    assert counts.dtype == np.int32


def test_entropy_equals_scipys_and_is_largest_when_uniform(rng):
    probabilities = rng.dirichlet(np.full(7, 0.3), 50)
    np.testing.assert_allclose(entropy(probabilities), scipy_entropy(probabilities, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(entropy(np.full((1, 102), 1 / 102)), np.log(102), rtol=1e-12)


def test_trajectories_of_the_specification():
    wrong, uncertain = np.full(1, 300), np.full(1, 100)
    seen_wrong, seen_uncertain = [300], [100]
    for _ in range(4):
        wrong = expand_counts(wrong, np.zeros(1), np.array([False]), **{**RULE, "k0": 300})
        uncertain = expand_counts(uncertain, np.ones(1), np.array([True]), **RULE)
        seen_wrong.append(int(wrong[0]))
        seen_uncertain.append(int(uncertain[0]))
    assert seen_wrong == [300, 1500, 2700, 3900, 5100]
    assert seen_uncertain == [100, 300, 500, 700, 900]
    assert deepest_k(k0=300, rounds=5) == 5100


def test_levels_of_the_specification():
    """Specification 6.4: wrong, wrong, uncertain, easy; without a cap, and with the authors' of 10."""
    outcomes = [(0.0, False), (0.0, False), (1.0, True), (0.0, True)]
    for cap, levels in ((None, [1, 5, 9, 11, 11]), (10, [1, 5, 9, 10, 10])):
        counts = [np.full(1, 300)]
        for entropies, correct in outcomes:
            max_k = 10**6 if cap is None else cap * 300
            rule = {**RULE, "k0": 300, "max_k": max_k}
            counts.append(expand_counts(counts[-1], np.array([entropies]), np.array([correct]), **rule))
        assert np.ravel(counts).tolist() == [300 * level for level in levels]
    assert deepest_k(k0=300, rounds=5, level_cap=10) == 3000
    assert deepest_k(k0=300, rounds=2, level_cap=10) == 1500


def test_entropy_equal_to_delta_is_uncertain():
    assert expand_counts(np.array([100]), np.array([0.1]), np.array([True]), **RULE).tolist() == [300]


@given(st.integers(1, 50), st.integers(1, 400), st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=1))
def test_counts_never_shrink_nor_pass_the_cap(k0, max_k, images):
    entropies, correct = np.array([h for h, _ in images]), np.array([c for _, c in images])
    counts = np.full(len(images), min(k0, max_k))
    grown = expand_counts(counts, entropies, correct, **{**RULE, "k0": k0, "max_k": max_k})
    assert (grown >= counts).all() and (grown <= max_k).all()
    settled = correct & (entropies < 0.1)
    np.testing.assert_array_equal(grown[settled], counts[settled])


def test_outcome_counts_each_image_once():
    entropies, correct = np.array([0.0, 0.5, 0.1, 0.05]), np.array([False, False, True, True])
    result = outcome(entropies, correct, 0.1)
    assert (result.n_wrong, result.n_uncertain, result.n_settled) == (2, 1, 1)


def test_large_counts_do_not_overflow():
    grown = expand_counts(np.array([2**31 - 10]), np.zeros(1), np.array([False]), **{**RULE, "max_k": 2**31 - 1})
    assert grown.tolist() == [2**31 - 1]


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certain_probabilities_have_no_entropy(probability):
    assert entropy(np.array([[probability, 1 - probability]])).tolist() == [0.0]


@pytest.mark.parametrize("wrong", [{"k0": 0}, {"rounds": 0}, {"sigma0": -1}, {"sigma1": -1}])
def test_a_depth_of_nothing_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"^{name} is {value}; it must be"):
        deepest_k(**{"k0": 300, "rounds": 5, **wrong})
