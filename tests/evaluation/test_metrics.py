"""Metrics against the specification's numbers and scikit-learn's definitions."""

import numpy as np

from sjft_tf.evaluation import (
    accuracy,
    best_round,
    class_results,
    confusion_matrix,
    mean_class_accuracy,
    per_class_accuracy,
)


def test_specifications_example_overall_and_mean_class_accuracy_differ():
    labels = np.repeat([0, 0, 1, 1], [8, 2, 1, 1])  # confusion [[8, 2], [1, 1]]
    predictions = np.repeat([0, 1, 0, 1], [8, 2, 1, 1])
    assert confusion_matrix(labels, predictions, 2).tolist() == [[8, 2], [1, 1]]
    assert accuracy(labels, predictions) == 0.75
    assert mean_class_accuracy(labels, predictions, 2) == 0.65


def test_mean_class_accuracy_equals_a_loop_over_classes(rng):
    labels, predictions = rng.integers(0, 7, 200), rng.integers(0, 7, 200)
    shares = [np.mean(predictions[labels == c] == c) for c in range(7)]
    np.testing.assert_allclose(mean_class_accuracy(labels, predictions, 7), np.mean(shares), rtol=1e-12)


def test_a_class_without_images_is_left_out_of_the_mean():
    labels, predictions = np.array([0, 0, 2]), np.array([0, 1, 2])
    assert mean_class_accuracy(labels, predictions, 3) == 0.75
    assert np.isnan(per_class_accuracy(confusion_matrix(labels, predictions, 3))[1])


def test_the_class_most_confused_with_is_that_of_a_loop(rng):
    confusion = rng.integers(0, 6, (9, 9))
    confusion[4] = np.eye(9, dtype=int)[4]  # without an error
    confusion[5] = 0  # without an image
    names = [f"class {i}" for i in range(9)]
    for true, (row, result) in enumerate(zip(confusion.tolist(), class_results(confusion, names), strict=True)):
        others = [count for predicted, count in enumerate(row) if predicted != true]
        assert (result.name, result.n_images, result.n_confused) == (names[true], sum(row), max(others))
        assert result.accuracy == (row[true] / sum(row) if sum(row) else None)
        if max(others):
            first = min(predicted for predicted, count in enumerate(row) if predicted != true and count == max(others))
            assert result.confused_with == names[first]
        else:
            assert result.confused_with is None


def test_the_best_round_is_the_earliest_of_the_highest_and_none_without_validation():
    assert best_round([0.25, 0.5, 0.5, 0.375]) == 1
    assert best_round([0.5, None, 0.25]) == 0
    assert best_round([None, 0.0]) == 1
    assert best_round([None, None]) is None
    assert best_round([]) is None
