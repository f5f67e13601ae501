"""Calibration in closed form and against a loop over images."""

import numpy as np
import pytest

from sjft_tf.evaluation import expected_calibration_error, reliability


def _two_classes(confidences):
    confidences = np.asarray(confidences)
    return np.stack([confidences, 1 - confidences], axis=1)


def _by_loop(labels, probabilities, bins):
    """Guo et al., Eq. (3), image by image: bin m is the half-open interval ((m - 1) / M, m / M]."""
    members = {m: [] for m in range(1, bins + 1)}
    for label, row in zip(labels, probabilities, strict=True):
        top = max(range(len(row)), key=lambda c: row[c])
        m = next(m for m in members if (m - 1) / bins < row[top] <= m / bins)
        members[m].append((float(row[top]), float(top == label)))
    error = 0.0
    for inside in members.values():
        if inside:
            confidence, accuracy = np.mean(inside, axis=0)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error, [len(inside) for inside in members.values()]


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("sharpness", [0.1, 1, 6])
def test_it_equals_a_loop_over_images(rng, bins, sharpness):
    odds = np.exp(sharpness * rng.normal(size=(300, 4)))
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    labels = rng.integers(0, 4, 300)
    error, sizes = _by_loop(labels, probabilities, bins)
    assert expected_calibration_error(labels, probabilities, bins) == pytest.approx(error, abs=1e-9)
    assert [found.n for found in reliability(labels, probabilities, bins)] == sizes


def test_sure_of_80_percent_and_right_in_60_is_an_error_of_20():
    labels = np.repeat([0, 1], [6, 4])
    assert expected_calibration_error(labels, _two_classes(np.full(10, 0.8))) == pytest.approx(0.2)
    (full,) = [found for found in reliability(labels, _two_classes(np.full(10, 0.8))) if found.n]
    assert (full.low, full.high, full.n) == (11 / 15, 12 / 15, 10)
    assert full.confidence == pytest.approx(0.8) and full.accuracy == 0.6


def test_errors_of_bins_do_not_cancel_one_another():
    """Sure of 0.95 and always wrong, sure of 0.55 and always right: right in half, sure of 0.75, far from calibrated."""
    labels, confidences = np.array([1, 1, 0, 0]), [0.95, 0.95, 0.55, 0.55]
    assert expected_calibration_error(labels, _two_classes(confidences)) == pytest.approx((0.95 + 0.45) / 2)
    assert expected_calibration_error(labels, _two_classes(confidences), bins=1) == pytest.approx(0.25)


def test_one_who_is_right_as_often_as_he_says_has_no_error():
    labels = np.concatenate([np.repeat([0, 1], [3, 1]), np.repeat([0, 1], [9, 1])])
    confidences = np.repeat([0.75, 0.9], [4, 10])
    assert expected_calibration_error(labels, _two_classes(confidences)) == pytest.approx(0, abs=1e-12)


def test_an_exact_edge_belongs_to_the_bin_below_and_1_to_the_last():
    found = reliability(np.zeros(4, int), _two_classes([0.5, 0.75, np.nextafter(0.75, 1), 1.0]), bins=4)
    assert [(b.low, b.high, b.n) for b in found] == [(0, 0.25, 0), (0.25, 0.5, 1), (0.5, 0.75, 1), (0.75, 1, 2)]
    assert found[0].confidence is None and found[0].accuracy is None
    above = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]], np.float32)
    assert reliability(np.zeros(1, int), above)[-1].n == 1
    assert reliability(np.zeros(1, int), np.zeros((1, 2)))[0].n == 1
