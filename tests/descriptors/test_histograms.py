import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from sjft_tf.descriptors import BinEdges
from sjft_tf.descriptors.edges import edges_from_counts
from sjft_tf.descriptors.histograms import bin_thresholds, bounds, fine_counts, histogram_counts

# specification 1.3, example E: its pixels and its edges by either rule
PIXELS_E = [0] * 60 + [3.5] * 10 + [4.5] * 10 + [5.5] * 10 + [6.5] * 5 + [7.5] * 5
EDGES_E = {"authors": [0.5, 1, 6, 7], "quantile": [1 / 3, 2 / 3, 1, 5]}


def as_maps(values):
    """`[n]` pixels as one map of one image."""
    return tf.constant(values, tf.float32)[None, None, None]


def counts_of(maps, edges):
    return histogram_counts(tf.constant(maps), tf.constant(bin_thresholds(edges))).numpy()


def one_channel(lower, upper, edges):
    return BinEdges(*(np.array(value, np.float32) for value in ([lower], [upper], [edges])))


def fitted(maps, bins, binning, intervals):
    """Bin edges from `[B, C, h, w]` responses."""
    lower, upper = bounds(maps).numpy()[..., 0]
    counts = fine_counts(maps, lower, upper, intervals).numpy()
    names = [str(i) for i in range(len(lower))]
    return edges_from_counts(counts, lower, upper, bins=bins, binning=binning, channel_names=names)


def test_example_a_of_the_specification():
    values = [-1, -0.5, 0, 0.999, 1, 2.5, 3, 5, -7]
    np.testing.assert_array_equal(fine_counts(as_maps(values), [-1], [3], 4), [[3, 2, 1, 3]])


def test_example_g_of_the_specification():
    edges = one_channel(0, 8, [1, 2, 4])
    counts = counts_of(as_maps([-1, 0, 0.5, 1, 1.999, 2, 4, 7.9, 8, 9]), edges)
    np.testing.assert_array_equal(counts, [[[3, 2, 1, 4]]])


@pytest.mark.parametrize(
    ("binning", "target"), [("authors", [[3, 1, 0, 0], [0, 2, 1, 1]]), ("quantile", [[2, 2, 0, 0], [0, 0, 2, 2]])]
)
def test_example_h_of_the_specification(binning, target):
    maps = tf.constant([[0, 1, 2, 3], [4, 5, 6, 8]], tf.float32)[:, None, None]
    edges = fitted(maps, 4, binning, 8)
    np.testing.assert_array_equal(counts_of(maps, edges)[:, 0], target)
    np.testing.assert_array_equal(counts_of(as_maps([-3, 0.5, 7.5, 99]), edges), [[[2, 0, 0, 2]]])


@pytest.mark.parametrize(("binning", "expected"), [("authors", [60, 0, 30, 5, 5]), ("quantile", [60, 0, 0, 20, 20])])
def test_example_i_of_the_specification(binning, expected):
    counts = counts_of(as_maps(PIXELS_E), one_channel(0, 8, EDGES_E[binning]))
    np.testing.assert_array_equal(counts, [[expected]])


def test_counts_equal_numpys_for_real_valued_responses(slow, rng):
    maps = rng.normal(size=(4, 6, 11, 13)).astype(np.float32)
    lower, upper = bounds(maps[:2]).numpy()[..., 0]  # the other two images reach beyond
    np.testing.assert_array_equal(lower, maps[:2].min((0, 2, 3)))
    np.testing.assert_array_equal(upper, maps[:2].max((0, 2, 3)))
    by_channel = maps.transpose(1, 0, 2, 3).reshape(6, -1)
    np.testing.assert_array_equal(fine_counts(maps, lower, upper, 50), slow.fine_counts(by_channel, lower, upper, 50))
    edges = fitted(maps[:2], 7, "quantile", 50)
    counts = counts_of(maps, edges)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, [slow.counts(image.reshape(6, -1), edges) for image in maps])


grid = st.integers(-6, 6).map(float)
drawn_maps = hypothesis.extra.numpy.arrays(np.float32, (2, 3, 4, 5), elements=grid)
drawn_cuts = hypothesis.extra.numpy.arrays(np.float32, (3, 6), elements=grid).map(lambda cuts: np.sort(cuts, 1))


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(drawn_maps, drawn_cuts)
def test_counts_equal_numpys_when_responses_fall_on_edges_and_edges_on_each_other(slow, maps, cuts):
    edges = BinEdges(cuts[:, 0], cuts[:, -1], cuts[:, 1:-1])
    np.testing.assert_array_equal(counts_of(maps, edges), [slow.counts(image.reshape(3, -1), edges) for image in maps])


tiny = float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("lower", [0.0, -0.0, -tiny, tiny, -1.0])
def test_the_lower_clamp_holds_where_floating_point_numbers_are_smallest(slow, lower):
    edges = one_channel(lower, 2, [lower, lower, 1])
    values = np.array([[-2, -1, -tiny, -0.0, 0, tiny, 0.5, 1, 2, 3]], np.float32)
    np.testing.assert_array_equal(counts_of(as_maps(values[0]), edges)[0], slow.counts(values, edges))


scales, rules = st.sampled_from([0.25, 0.5, 2.0, 16.0]), st.sampled_from(["quantile", "authors"])


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(drawn_maps, scales, st.integers(-9, 9), rules)
def test_scale_and_offset_of_a_channel_change_no_descriptor(maps, scale, offset, binning):
    other = maps * np.float32(scale) + offset
    before, after = (counts_of(m, fitted(m[:1], 4, binning, 32)) for m in (maps, other))
    np.testing.assert_array_equal(before, after)


def test_a_change_of_sign_reverses_the_bins(rng):
    maps = rng.normal(size=(2, 3, 20, 20)).astype(np.float32)
    before, after = (counts_of(m, fitted(m, 8, "quantile", 400)) for m in (maps, -maps))
    np.testing.assert_array_equal(after, before[..., ::-1])


def test_a_channel_constant_on_the_target_falls_in_the_first_bin(slow):
    edges = fitted(tf.zeros((1, 1, 2, 2)), 4, "quantile", 16)
    np.testing.assert_array_equal(counts_of(as_maps([0, 0, -1, 2]), edges), [[[3, 0, 0, 1]]])
