"""Metrics against the specification's numbers and scikit-learn's definitions."""

import numpy as np

from sjft_tf.evaluation import accuracy, confusion_matrix, mean_class_accuracy, per_class_accuracy


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
