"""Eq. (1) against the specification, SciPy and long double; its lift against FAISS besides."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from sjft_tf.errors import InputError
from sjft_tf.retrieval import lift_sources, lift_targets, symmetric_kl

# Specification 2.4, as counts of 20 pixels: three histograms, the second and third in one layer.
P = np.array([[[10, 10], [5, 15], [16, 4]]], np.uint16)
Q = np.array([[[5, 15], [10, 10], [4, 16]]], np.uint16)
V = [-1.386294361, -0.287682072, -0.346573590, -0.346573590, -0.804718956, -0.111571776,
     0.25, 0.75, 0.25, 0.25, 0.1, 0.4, 1.159109947]  # fmt: skip


def test_worked_example_of_the_specification(weights):
    assert symmetric_kl(P, Q, weights).item() == pytest.approx(1.2437562249, abs=5e-11)
    for histogram, expected in enumerate((0.274653072167, 0.274653072167, 1.663553233344)):
        one = slice(histogram, histogram + 1)
        assert symmetric_kl(P[:, one], Q[:, one], np.ones(1)).item() == pytest.approx(expected, abs=5e-13)


def test_lift_of_the_specification(weights):
    u, offsets = lift_targets(P, weights)
    v = lift_sources(Q, weights)
    np.testing.assert_allclose(v[0], V, atol=5e-10)
    assert offsets.item() == pytest.approx(-1.224515964638, abs=5e-13)
    assert (u @ v.T).item() == pytest.approx(-2.468272189561, abs=5e-13)


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
    for epsilon, cost in ((2.2204e-16, 0.009625), (1e-10, 0.005160), (1e-6, 0.002003), (1e-4, 0.000510)):
        assert symmetric_kl(p, one_pixel, np.ones(1), epsilon=epsilon).item() == pytest.approx(cost + 1.2e-7, abs=5e-7)


def test_divergence_equals_scipys_two_sided_relative_entropy(rng, weights):
    t, s = rng.integers(1, 900, (5, 3, 8)), rng.integers(1, 900, (7, 3, 8))  # no empty bin, so epsilon plays no part
    p, q = t / t.sum(-1, keepdims=True), s / s.sum(-1, keepdims=True)
    expected = (rel_entr(p[:, None], q) + rel_entr(q, p[:, None])).sum(-1) @ weights
    np.testing.assert_allclose(symmetric_kl(t, s, weights), expected, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [2.2204e-16, 1e-10, 1e-4])
def test_divergence_with_empty_bins_equals_long_double(rng, draw, direct, weights, epsilon):
    t, s = draw(rng, 6), draw(rng, 300)  # more than one block of source images
    assert (t == 0).mean() > 0.2
    divergences = symmetric_kl(t, s, weights, epsilon=epsilon)
    np.testing.assert_allclose(divergences, direct(t, s, weights, epsilon), rtol=1e-13, atol=1e-14)


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


@pytest.mark.parametrize("scale", [1.0, 0.01, 300.0])
@pytest.mark.parametrize("center", ["none", "constant", "random"])
def test_offset_less_inner_product_is_the_divergence(rng, draw, direct, weights, center, scale):
    t, s = draw(rng, 6), draw(rng, 20)
    center = {"none": 0.0, "constant": -3.5, "random": rng.normal(-15, 10, t.shape[1:])}[center]
    u, offsets = lift_targets(t, weights, center=center, scale=scale)
    v = lift_sources(s, weights, center=center, scale=scale)
    np.testing.assert_allclose(offsets[:, None] - u @ v.T, direct(t, s, weights), atol=1e-12)


def test_lift_takes_the_epsilon_of_both_sides(rng, draw, direct, weights):
    t, s = draw(rng, 6), draw(rng, 20)
    u, offsets = lift_targets(t, weights, epsilon=1e-4)
    v = lift_sources(s, weights, epsilon=1e-4)
    np.testing.assert_allclose(offsets[:, None] - u @ v.T, direct(t, s, weights, 1e-4), atol=1e-12)


def test_faiss_finds_the_nearest_by_inner_product(rng, draw, direct, weights):
    t, s = draw(rng, 20), draw(rng, 400)
    (u, offsets), v = (
        lift_targets(t, weights, center=-15.0, scale=10.0),
        lift_sources(s, weights, center=-15.0, scale=10.0),
    )
    index = faiss.IndexFlatIP(v.shape[1])
    index.add(v.astype(np.float32))
    products, found = index.search(u.astype(np.float32), 10)
    divergences = direct(t, s, weights)
    np.testing.assert_array_equal(found, divergences.argsort(axis=1)[:, :10])  # no near-ties among these
    nearest = np.take_along_axis(divergences, found, axis=1)
    np.testing.assert_allclose(offsets[:, None] - products, nearest, atol=1e-4)  # float32 products of length up to 70


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
    with pytest.raises(InputError, match="^the histogram of image 3, channel 1 has no counts"):
        symmetric_kl(t, s, weights)
    with pytest.raises(InputError, match="^the histogram of image 3, channel 1 has no counts"):
        lift_sources(s, weights)
