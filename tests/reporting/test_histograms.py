import matplotlib.colors
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjft_tf.reporting import drawing, histograms
from sjft_tf.selection import outcome


def test_k_bars_stand_at_the_values_and_are_as_high_as_their_number_of_images():
    counts = [np.full(5, 50), np.array([50, 50, 150, 250, 250])]
    figure = histograms.counts_histogram(counts)
    shown = [
        {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches} for axes in figure.axes
    ]
    assert shown == [{50: 5}, {50: 2, 150: 1, 250: 2}]


def test_many_different_k_are_binned_without_losing_an_image(rng):
    counts = rng.integers(1, 5000, 900)
    (axes,) = histograms.counts_histogram([counts]).axes
    assert len(axes.patches) == histograms.MAX_VALUES
    assert sum(bar.get_height() for bar in axes.patches) == 900


def heights_by_color(axes) -> dict[str, int]:
    heights: dict[str, int] = {}
    for bar in axes.patches:
        color = matplotlib.colors.to_hex(bar.get_facecolor())
        heights[color] = heights.get(color, 0) + int(bar.get_height())
    return heights


def test_entropy_bars_hold_every_image_once_in_the_color_of_its_outcome(rng):
    entropies = [np.r_[0.0, 1e-9, 0.1, 3.0, rng.gamma(0.3, 0.4, 200)].astype(np.float32)]
    correct = [rng.random(204) < 0.6]
    with drawing.figure_style():
        (axes,) = histograms.entropy_histogram(entropies, correct, 0.1, n_classes=20).axes
    expected = outcome(entropies[0], correct[0], 0.1)
    assert heights_by_color(axes) == {drawing.color(name): getattr(expected, f"n_{name}") for name in drawing.OUTCOMES}


def test_settled_images_lie_left_of_delta_and_uncertain_ones_right(rng):
    entropies, correct = [rng.gamma(0.5, 0.3, 300)], [np.ones(300, bool)]
    with drawing.figure_style():
        (axes,) = histograms.entropy_histogram(entropies, correct, 0.07, n_classes=9).axes
    for bar in axes.patches:
        if bar.get_height():
            center = bar.get_x() + bar.get_width() / 2
            name = "settled" if center < 0.07 else "uncertain"
            assert matplotlib.colors.to_hex(bar.get_facecolor()) == drawing.color(name)


def test_a_diverged_run_still_has_a_picture():
    entropies, correct = [np.array([np.nan, np.nan, 0.2])], [np.array([False, False, True])]
    (axes,) = histograms.entropy_histogram(entropies, correct, 0.1, n_classes=3).axes
    assert sum(heights_by_color(axes).values()) == 3


@given(st.floats(1e-6, 1e-3), st.floats(0.01, 8), st.floats(1e-4, 10))
def test_entropy_edges_reach_both_ends_at_equal_ratios_and_hold_delta(floor, highest, delta):
    floor = min(floor, delta / 10)
    edges = histograms.entropy_edges(floor, highest, delta)
    assert edges[0] <= floor * (1 + 1e-9)
    assert edges[-1] >= max(highest, delta) * (1 - 1e-9)
    np.testing.assert_allclose(edges[1:] / edges[:-1], edges[1] / edges[0])
    assert delta in edges
    assert 36 <= len(edges) <= 39


@pytest.mark.parametrize("delta", [0.0, 0.1])
def test_delta_is_marked_unless_it_is_zero(delta):
    (axes,) = histograms.entropy_histogram([np.array([0.3])], [np.array([True])], delta, n_classes=4).axes
    assert [line.get_xdata()[0] for line in axes.get_lines()] == ([delta] if delta else [])
