"""Eq. (1) against the specification, SciPy and long double; the other divergences against their closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from sjft_tf.errors import InputError
from sjft_tf.retrieval import squared_distance, squared_hellinger, symmetric_kl

# Specification 2.4, as counts of 20 pixels: three histograms, the second and third in one layer.
P = np.array([[[10, 10], [5, 15], [16, 4]]], np.uint16)
Q = np.array([[[5, 15], [10, 10], [4, 16]]], np.uint16)


def test_worked_example_of_the_specification(weights):
    assert symmetric_kl(P, Q, weights).item() == pytest.approx(1.2437562249, abs=5e-11)
    for histogram, expected in enumerate((0.274653072167, 0.274653072167, 1.663553233344)):
        one = slice(histogram, histogram + 1)
        assert symmetric_kl(P[:, one], Q[:, one], np.ones(1)).item() == pytest.approx(expected, abs=5e-13)


def test_ranking_of_the_specification():
    target = np.array([[[6, 3, 1]]], np.uint16)
    source = np.array([[[6, 3, 1]], [[5, 3, 2]], [[1, 3, 6]], [[3, 3, 4]]], np.uint16)
    divergences = symmetric_kl(target, source, np.ones(1))[0]
    np.testing.assert_allclose(divergences, [0, 0.0875468737, 1.7917594692, 0.6238324625], atol=5e-11)
    assert divergences.argsort().tolist() == [0, 1, 3, 2]


def test_an_empty_bin_costs_what_epsilon_says():
    p, q = np.array([[[2916, 0]]], np.uint16), np.array([[[1458, 1458]]], np.uint16)
    assert symmetric_kl(p, q, np.ones(1)).item() == pytest.approx(18.02183706403543, rel=1e-14)
    one_pixel = np.array([[[2915, 1]]], np.uint16)
    # specification 2.2, for the empty bin alone; the full one adds 1e-7
    assert symmetric_kl(p, one_pixel, np.ones(1)).item() == pytest.approx(0.009625 + 1.2e-7, abs=5e-7)


def test_smoothing_adds_counts_to_every_bin(rng, draw, weights):
    t, s = draw(rng, 5), draw(rng, 7)
    expected = symmetric_kl(2 * t + 1, 2 * s + 1, weights)  # no empty bin, so that 2e-16 plays no part
    np.testing.assert_allclose(symmetric_kl(t, s, weights, smoothing=0.5), expected, rtol=1e-11)


def test_divergence_equals_scipys_two_sided_relative_entropy(rng, weights):
    t, s = (
        rng.integers(1, 900, (5, 3, 8)),
        rng.integers(1, 900, (7, 3, 8)),
    )  # no empty bin, so that smoothing plays no part
    p, q = t / t.sum(-1, keepdims=True), s / s.sum(-1, keepdims=True)
    expected = (rel_entr(p[:, None], q) + rel_entr(q, p[:, None])).sum(-1) @ weights
    np.testing.assert_allclose(symmetric_kl(t, s, weights), expected, rtol=1e-12)


@pytest.mark.parametrize("smoothing", ["authors", 1e-10, 0.5])
def test_divergence_with_empty_bins_equals_long_double(rng, draw, direct, weights, smoothing):
    t, s = draw(rng, 6), draw(rng, 300)  # more than one block of source images
    assert (t == 0).mean() > 0.2
    divergences = symmetric_kl(t, s, weights, smoothing=smoothing)
    np.testing.assert_allclose(divergences, direct(t, s, weights, smoothing), rtol=1e-13, atol=1e-14)


def test_hellingers_distance_is_one_less_the_affinity(rng, draw, weights):
    t, s = draw(rng, 6), draw(rng, 30)
    s[:3] = t[:3]
    p, q = t / t.sum(-1, keepdims=True), s / s.sum(-1, keepdims=True)
    affinity = np.einsum("ncb,mcb,c->nm", np.sqrt(p), np.sqrt(q), weights)
    for smoothing in (0.0, "authors"):
        distances = squared_hellinger(t, s, weights, smoothing=smoothing)
        np.testing.assert_allclose(distances, weights.sum() - affinity, atol=1e-14)
    assert not distances.diagonal()[:3].any()
    smoothed = squared_hellinger(2 * t + 1, 2 * s + 1, weights)
    np.testing.assert_allclose(squared_hellinger(t, s, weights, smoothing=0.5), smoothed, atol=1e-14)


def test_squared_distance_is_that_of_vectors(rng):
    t, s = (rng.standard_normal((n, 5)).astype(np.float32) for n in (6, 47))
    s[0] = t[0]
    expected = ((t[:, None].astype(float) - s) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distance(t, s), expected, rtol=1e-14)
    assert squared_distance(t, s)[0, 0] == 0


@settings(deadline=None)  # a busy machine is no failure
@given(seed=st.integers(0, 2**32 - 1), bins=st.integers(1, 9))
def test_divergence_is_symmetric_and_zero_only_where_histograms_agree(draw, weights, seed, bins):
    counts = draw(np.random.default_rng(seed), 5, bins=bins)
    divergences = symmetric_kl(counts, counts, weights)
    np.testing.assert_allclose(divergences, divergences.T, rtol=1e-14)
    agree = (counts[:, None] == counts).all(axis=(2, 3))
    np.testing.assert_array_equal(divergences == 0, agree)
    assert (divergences >= 0).all()


def test_histograms_of_the_same_shares_have_no_divergence(rng, draw, weights):
    counts = draw(rng, 4)
    assert not symmetric_kl(counts, 7 * counts, weights).diagonal().any()


@pytest.mark.parametrize("layout", ["C", "F"])
def test_a_pair_has_one_value_whatever_is_asked_for_beside_it(rng, draw, layout):
    t, s = (np.array(draw(rng, n, pixels=(196,) * 16, bins=32), order=layout) for n in (3, 300))
    weights = np.full(16, 1 / 16)
    together = symmetric_kl(t, s, weights)
    np.testing.assert_array_equal(together, symmetric_kl(np.ascontiguousarray(t), np.ascontiguousarray(s), weights))
    np.testing.assert_array_equal(symmetric_kl(t[2:], s[[299, 5]], weights), together[2:, [299, 5]])
    for j in (0, 255, 256):
        np.testing.assert_array_equal(symmetric_kl(t, s[j : j + 1], weights), together[:, j : j + 1])


@pytest.mark.parametrize(
    ("target", "source", "channel_weights", "message"),
    [
        ((1, 3, 6), (2, 3, 5), (3,), r"target counts \(1, 3, 6\), source counts \(2, 3, 5\) .* must agree"),
        ((1, 3, 6), (2, 2, 6), (3,), r"source counts \(2, 2, 6\)"),
        ((1, 3, 6), (2, 3, 6), (4,), r"channel weights \(4,\) must agree"),
        ((1, 3, 6), (2, 3, 6), (), r"channel weights \(\) must agree"),
    ],
)
def test_sides_that_do_not_fit_are_refused(target, source, channel_weights, message):
    with pytest.raises(InputError, match=message):
        symmetric_kl(np.ones(target, int), np.ones(source, int), np.ones(channel_weights))


def test_an_empty_histogram_is_refused_by_name(rng, draw, weights):
    t, s = draw(rng, 4), draw(rng, 4)
    s[3, 1] = 0
    for divergence in (symmetric_kl, squared_hellinger):
        with pytest.raises(InputError, match="^the histogram of image 3, channel 1 has no counts"):
            divergence(t, s, weights)
