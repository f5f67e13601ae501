import numpy as np
import pytest

from sjft_tf.evaluation import ClassResult
from sjft_tf.reporting.results import (
    averaged,
    joined_curve,
    mean_class_standard_error,
    term_names,
    worst_classes,
)

NAMES = ["ant", "bee", "cat", "dog", "elk"]
CONFUSION = np.array(
    [
        [8, 0, 1, 1, 0],  # 0.8; of two equally frequent confusions the first class is named
        [0, 5, 0, 0, 0],  # without an error
        [0, 3, 1, 0, 0],  # 0.25 of 4
        [0, 0, 0, 0, 0],  # without images
        [5, 0, 1, 0, 2],  # 0.25 of 8
    ]
)


def test_worst_classes_by_hand():
    assert worst_classes(CONFUSION, NAMES) == [
        ClassResult("elk", 8, 0.25, "ant", 5),  # as accurate as cat, and more images say so
        ClassResult("cat", 4, 0.25, "bee", 3),
        ClassResult("ant", 10, 0.8, "cat", 1),
    ]


def test_worst_classes_stops_at_the_count():
    assert [result.name for result in worst_classes(CONFUSION, NAMES, count=1)] == ["elk"]


def test_equally_bad_classes_of_equal_size_stay_in_class_order():
    swapped = np.array([[0, 2, 0], [0, 0, 2], [0, 0, 2]])
    assert [result.name for result in worst_classes(swapped, NAMES[:3])] == ["ant", "bee"]


def test_the_standard_error_of_one_class_is_the_binomial_one():
    assert mean_class_standard_error(np.array([[50, 50], [0, 0]])) == pytest.approx(0.05)  # sqrt(0.5 * 0.5 / 100)


def test_the_standard_error_is_the_spread_over_test_sets_drawn_anew(rng):
    n_images, accuracies = np.array([10, 25, 40]), np.array([0.5, 0.9, 0.2])
    drawn = rng.binomial(n_images, accuracies, (40_000, 3)) / n_images
    right = (n_images * accuracies).astype(int)
    confusion = np.diag(right) + np.roll(np.diag(n_images - right), 1, axis=1)
    simulated = drawn.mean(axis=1).std()
    # The seven exact halves, tenths and fifths above leave 22.5 of 25 right to rounding.
    assert mean_class_standard_error(confusion) == pytest.approx(simulated, rel=0.02)


def test_rounds_that_count_steps_from_1_join_like_rounds_that_count_on():
    from_scratch = [{"step": [1, 2, 3], "target": [3, 2, 1]}, {"step": [1, 3], "target": [0.5, 0.25]}]
    on = [{"step": [1, 2, 3], "target": [3, 2, 1]}, {"step": [4, 6], "target": [0.5, 0.25]}]
    for curves in (from_scratch, on):
        steps, losses, ends = joined_curve(curves, "target")
        assert steps.tolist() == [1, 2, 3, 4, 6]
        assert losses.tolist() == [3, 2, 1, 0.5, 0.25]
        assert ends.tolist() == [3]


def test_a_head_that_was_not_trained_has_an_empty_curve():
    steps, losses, ends = joined_curve([{"step": [1, 2], "target": [3, 2]}, {"step": [1], "target": [1]}], "source")
    assert len(steps) == len(losses) == 0
    assert ends.tolist() == [2]


def test_a_loss_that_json_had_to_drop_is_a_gap():
    _, losses, _ = joined_curve([{"step": [1, 2], "target": [3.0, None]}], "target")
    np.testing.assert_array_equal(losses, [3, np.nan])


def test_averaging_keeps_a_short_curve_and_takes_means_of_equal_parts_of_a_long_one():
    assert averaged(np.array([1.0, 5.0]), at_most=2).tolist() == [1, 5]
    assert averaged(np.arange(12.0), at_most=3).tolist() == [1.5, 5.5, 9.5]


def test_terms_are_those_whose_loss_some_round_has():
    history = [{"target_loss": None, "loss_curve": {}}, {"target_loss": 1.0, "rotation_loss": 0.5}]
    assert term_names(history) == ["target", "rotation"]
