import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sjft_tf.reporting import answers, drawing
from sjft_tf.reporting.answers import MAX_COUNTED, MAX_NAMED, confusion_picture

CONFUSION = np.array([[6, 2, 0], [0, 0, 0], [1, 0, 3]])
BINS = [
    {"low": 0.0, "high": 0.25, "n": 0, "confidence": None, "accuracy": None},
    {"low": 0.25, "high": 0.5, "n": 30, "confidence": 0.4, "accuracy": 0.5},
    {"low": 0.5, "high": 1.0, "n": 70, "confidence": 0.9, "accuracy": 0.6},
]


def texts_of(figure) -> list[str]:
    root = ElementTree.fromstring(drawing.svg(figure))
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def picture(confusion, names):
    with drawing.figure_style():
        return confusion_picture(confusion, names)


def test_opacity_is_the_root_of_the_share_of_the_row():
    (image,) = picture(CONFUSION, ["a", "b", "c"]).axes[0].get_images()
    share = np.array([[0.75, 0.25, 0], [0, 0, 0], [0.25, 0, 0.75]])  # a class without images is blank
    np.testing.assert_allclose(np.asarray(image.get_array())[..., 3], np.sqrt(share))


def test_few_classes_carry_their_counts_in_row_and_column():
    (axes,) = picture(CONFUSION, ["a", "b", "c"]).axes
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "6", (0, 1): "2", (2, 0): "1", (2, 2): "3"}


def test_names_stand_at_rows_and_columns_in_class_order_and_are_no_formulas():
    names = ["$a_1$ & b", "<日本>", "very long name " * 9]
    with drawing.figure_style():
        texts = texts_of(confusion_picture(CONFUSION, names))
    shown = ["$a_1$ & b", "<日本>", "very long name…"]
    assert [text for text in texts if text in shown] == shown * 2


@pytest.mark.parametrize("n_classes", [MAX_COUNTED + 1, MAX_NAMED, MAX_NAMED + 1])
def test_many_classes_are_named_and_very_many_numbered(n_classes):
    names = [f"class {i}" for i in range(n_classes)]
    with drawing.figure_style():
        texts = texts_of(confusion_picture(np.eye(n_classes, dtype=int), names))
    assert texts.count("class 7") == (2 if n_classes <= MAX_NAMED else 0)
    assert texts.count("0") == (0 if n_classes <= MAX_NAMED else 2)


def test_names_fit_in_the_margin(rng):
    names = ["x" * 40] * 40
    figure = picture(np.eye(40, dtype=int), names)
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    # Matplotlib measures with DejaVu Sans, wider than the fonts of a browser.
    assert min(box.x0 for box in boxes) >= -0.02 * figure.bbox.width
    assert max(box.y1 for box in boxes) <= 1.02 * figure.bbox.height


def test_each_filled_bin_is_a_dot_at_its_means_as_large_as_its_share():
    with drawing.figure_style():
        axes = answers.reliability_diagram(BINS).axes[0]
    gaps, dots = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.4, 0.5], [0.9, 0.6]])
    small, large = dots.get_sizes()
    assert large / small == pytest.approx(70 / 30)
    np.testing.assert_allclose([line[:, 1] for line in gaps.get_segments()], [[0.5, 0.4], [0.6, 0.9]])
    (diagonal,) = axes.get_lines()
    np.testing.assert_allclose(diagonal.get_xydata(), [[0, 0], [1, 1]])


def test_a_bin_of_one_image_among_thousands_is_still_seen():
    with drawing.figure_style():
        axes = answers.reliability_diagram([BINS[1] | {"n": 1}, BINS[2] | {"n": 9999}]).axes[0]
    assert axes.collections[1].get_sizes()[0] == answers.MIN_AREA


def test_means_are_those_over_images():
    assert answers.means(BINS) == pytest.approx((0.3 * 0.4 + 0.7 * 0.9, 0.3 * 0.5 + 0.7 * 0.6))
