import numpy as np
import pytest

from sjft_tf.reporting import calibration, drawing

BINS = [
    {"low": 0.0, "high": 0.25, "n": 0, "confidence": None, "accuracy": None},
    {"low": 0.25, "high": 0.5, "n": 30, "confidence": 0.4, "accuracy": 0.5},
    {"low": 0.5, "high": 1.0, "n": 70, "confidence": 0.9, "accuracy": 0.6},
]


def test_each_filled_bin_is_a_dot_at_its_means_as_large_as_its_share():
    with drawing.figure_style():
        axes = calibration.reliability_diagram(BINS).axes[0]
    gaps, dots = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.4, 0.5], [0.9, 0.6]])
    small, large = dots.get_sizes()
    assert large / small == pytest.approx(70 / 30)
    np.testing.assert_allclose([line[:, 1] for line in gaps.get_segments()], [[0.5, 0.4], [0.6, 0.9]])
    (diagonal,) = axes.get_lines()
    np.testing.assert_allclose(diagonal.get_xydata(), [[0, 0], [1, 1]])


def test_a_bin_of_one_image_among_thousands_is_still_seen():
    with drawing.figure_style():
        axes = calibration.reliability_diagram([BINS[1] | {"n": 1}, BINS[2] | {"n": 9999}]).axes[0]
    assert axes.collections[1].get_sizes()[0] == calibration.MIN_AREA


def test_means_are_those_over_images():
    assert calibration.means(BINS) == pytest.approx((0.3 * 0.4 + 0.7 * 0.9, 0.3 * 0.5 + 0.7 * 0.6))
