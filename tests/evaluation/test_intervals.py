"""Paired differences against SciPy's t-test and bootstrap, and Student's table; Holm's correction by hand."""

import numpy as np
import pytest
import scipy.stats

from sjft_tf.errors import InputError
from sjft_tf.evaluation import bootstrap_difference, holm, mean_class_accuracy, paired_difference


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.95), (10, 0.95), (10, 0.8)])
def test_the_interval_is_that_of_the_t_test_of_related_samples(rng, n, confidence):
    a, b = rng.normal(80, 5, n), rng.normal(70, 5, n)
    found = paired_difference(a, b, confidence=confidence)
    test = scipy.stats.ttest_rel(a, b)
    expected = test.confidence_interval(confidence)
    np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), rtol=1e-12)
    assert found.mean / found.standard_error == pytest.approx(test.statistic)
    assert found.p == pytest.approx(test.pvalue, rel=1e-9)


def test_three_pairs_by_hand():
    found = paired_difference([5.0, 6.0, 7.0], [4.0, 4.0, 4.0])  # 1, 2, 3: deviation 1, and t of 2 degrees is 4.303
    assert (found.mean, found.standard_error) == pytest.approx((2, 1 / np.sqrt(3)))
    assert (found.low, found.high) == pytest.approx((2 - 4.303 / np.sqrt(3), 2 + 4.303 / np.sqrt(3)), abs=1e-3)


def test_what_varies_in_both_alike_widens_nothing():
    seeds = np.array([0.0, 40.0, 15.0, 27.0])
    found = paired_difference(seeds + 3, seeds)
    assert (found.standard_error, found.p) == (0, 0)
    assert paired_difference(seeds, seeds).p == 1


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 2.0], [1.0], "there are 2 and 1 measurements"),
        ([1.0], [2.0], "measurements of 1 pairs; an interval needs 2 or more"),
    ],
)
def test_what_makes_no_pairs_is_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        paired_difference(a, b)


def test_the_bootstrap_is_scipys_over_images_within_classes(rng):
    labels = np.repeat([0, 1, 2], (40, 25, 60))
    a, b = rng.random(125) < 0.7, rng.random(125) < 0.55
    found = bootstrap_difference(labels, a, b)

    def statistic(*differences, axis):
        return np.mean([of_class.mean(axis=axis) for of_class in differences], axis=0)

    by_class = [(a.astype(float) - b)[labels == label] for label in range(3)]
    expected = scipy.stats.bootstrap(by_class, statistic, n_resamples=20_000, method="percentile", rng=rng)
    # ends are of multiples of 1/40, 1/25 and 1/60; 10,000 draws scatter their quantiles by about 0.002
    interval = expected.confidence_interval
    np.testing.assert_allclose((found.low, found.high), (interval.low, interval.high), atol=0.008)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.05)
    accuracies = [mean_class_accuracy(labels, np.where(right, labels, -1) % 4, 4) for right in (a, b)]
    assert found.mean == pytest.approx(accuracies[0] - accuracies[1])


def test_a_class_counts_as_much_as_another_however_many_images_it_has():
    labels = np.array([0] * 99 + [1])
    found = bootstrap_difference(labels, labels == 1, np.zeros(100, bool))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    assert found.p == pytest.approx(2 / 10_001)  # no draw on the other side of 0


def test_equal_answers_differ_by_nothing_and_the_pairing_is_kept(rng):
    labels, right = rng.integers(0, 5, 300), rng.random(300) < 0.5
    found = bootstrap_difference(labels, right, right)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, of which none may be below an earlier one
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.2]) == [0.2] and holm([]) == []
