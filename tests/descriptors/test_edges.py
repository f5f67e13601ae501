import logging

import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies as st

from sjft_tf.descriptors import BinEdges
from sjft_tf.descriptors.edges import authors_edges, edges_from_counts, quantile_edges
from sjft_tf.errors import InputError

# specification 1.3: fine counts on [0, 8], bins, the authors' edges, equal-mass edges (the last one, 8, left out)
EXAMPLES = {
    "B": ([1, 1, 1, 1, 2, 4, 4, 2], 4, [5, 7, 7.5], [4, 5.5, 6.5]),
    "C": ([99] * 8, 4, [3, 6, 7], [2, 4, 6]),
    "D": ([0, 0, 0, 90, 4, 2, 2, 2], 4, [4 / 3, 8 / 3, 4], [3.2777778, 3.5555556, 3.8333333]),
    "E": ([60, 0, 0, 10, 10, 10, 5, 5], 5, [0.5, 1, 6, 7], [1 / 3, 2 / 3, 1, 5]),
    "F": ([1] * 8, 4, [3, 6, 7], [2, 4, 6]),
}
ZERO, EIGHT = np.zeros(1, np.float32), np.full(1, 8, np.float32)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_specification(example):
    counts, bins, authors, quantile = EXAMPLES[example]
    np.testing.assert_allclose(authors_edges(np.array([counts]), ZERO, EIGHT, bins), [authors])
    np.testing.assert_allclose(quantile_edges(np.array([counts]), ZERO, EIGHT, bins), [quantile], atol=5e-8)


def test_channels_do_not_mix():
    counts = np.array([example[0] for name, example in EXAMPLES.items() if name != "E"])
    lower, upper = np.arange(4.0), np.arange(4.0) + 8
    for rule in (authors_edges, quantile_edges):
        alone = [rule(counts[[i]], lower[[i]], upper[[i]], 4)[0] for i in range(4)]
        np.testing.assert_array_equal(rule(counts, lower, upper, 4), alone)


def test_authors_rule_starves_the_last_bins_of_a_uniform_channel():
    edges = authors_edges(np.full((1, 2000), 1000), np.zeros(1), np.ones(1), 100)[0]
    widths = np.diff([0, *edges, 1])
    np.testing.assert_allclose(widths[:95], 0.0105)
    np.testing.assert_allclose(widths[95:], 0.0005)


def test_shares_of_a_gaussian_channel(rng):
    values = rng.normal(size=2_000_000)
    counts, ends = np.histogram(values, 2000)
    share = {}
    for rule in (authors_edges, quantile_edges):
        edges = rule(counts[None], ends[:1], ends[-1:], 100)[0]
        share[rule] = np.histogram(values, [ends[0], *edges, ends[-1]])[0] / len(values)
    assert share[authors_edges].max() < 0.0125
    assert 5 <= (share[authors_edges] < 0.005).sum() <= 7  # the specification's draw gave 6
    assert share[authors_edges][-1] < 1e-5
    assert 0.0095 < share[quantile_edges].min() < share[quantile_edges].max() < 0.0105


def test_no_rule_splits_an_atom(rng):
    values = np.maximum(rng.normal(size=200_000), 0)
    counts, ends = np.histogram(values, 2000)
    for rule in (authors_edges, quantile_edges):
        edges = rule(counts[None], ends[:1], ends[-1:], 100)[0]
        assert np.histogram(values, [ends[0], *edges, ends[-1]])[0].max() / len(values) == pytest.approx(0.5, abs=0.01)


fine_counts = hypothesis.extra.numpy.arrays(np.int64, (1, 40), elements=st.integers(0, 30)).filter(np.any)


@hypothesis.given(fine_counts, st.integers(2, 12))
def test_quantile_edges_cut_equal_masses(counts, bins):
    edges = quantile_edges(counts, np.zeros(1), np.full(1, 40.0), bins)[0]
    cumulative = np.interp(edges, np.arange(41), np.concatenate([[0], np.cumsum(counts)]))
    np.testing.assert_allclose(cumulative, counts.sum() * np.arange(1, bins) / bins, atol=1e-9 * counts.sum())
    assert (np.diff([0, *edges, 40]) >= 0).all()


@hypothesis.given(fine_counts, st.integers(2, 12))
def test_authors_edges_ascend_to_the_upper_bound(counts, bins):
    edges = authors_edges(counts, np.zeros(1), np.full(1, 40.0), bins)[0]
    assert len(edges) == bins - 1
    assert (np.diff([0, *edges, 40]) >= 0).all()


@pytest.mark.parametrize("binning", ["quantile", "authors"])
def test_a_constant_channel_has_its_value_as_every_edge_and_is_named_once(binning, caplog):
    counts = np.array([[6, 0, 0, 0], [2, 1, 1, 2]])
    lower, upper = np.array([3, 0], np.float32), np.array([3, 4], np.float32)
    with caplog.at_level(logging.WARNING):
        edges = edges_from_counts(counts, lower, upper, bins=3, binning=binning, channel_names=["flat", "lively"])
    np.testing.assert_array_equal(edges.edges[0], [3, 3])
    assert [record.getMessage() for record in caplog.records] == [
        "the response is the same in every pixel of the target in: flat"
    ]


def test_unknown_rules_are_refused():
    with pytest.raises(InputError, match="binning is 'equal'; it must be one of quantile, authors"):
        edges_from_counts(np.ones((1, 4), int), ZERO, EIGHT, bins=2, binning="equal", channel_names=["any"])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[2, 1]], "ascend"),
        ([[1, 9]], "ascend"),
        ([[1, np.nan]], "finite"),
        ([[1, 2], [1, 2]], "shapes"),
        ([1], "shapes"),
    ],
)
def test_edges_that_cannot_be_are_refused(edges, message):
    with pytest.raises(InputError, match=message):
        BinEdges(ZERO, EIGHT, np.array(edges, np.float32))
