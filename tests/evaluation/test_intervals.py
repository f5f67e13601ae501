"""Paired differences against SciPy's t-test of related samples, and against a table of Student's distribution."""

import numpy as np
import pytest
import scipy.stats

from sjft_tf.errors import InputError
from sjft_tf.evaluation import paired_difference


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.95), (10, 0.95), (10, 0.8)])
def test_the_interval_is_that_of_the_t_test_of_related_samples(rng, n, confidence):
    a, b = rng.normal(80, 5, n), rng.normal(70, 5, n)
    found = paired_difference(a, b, confidence=confidence)
    test = scipy.stats.ttest_rel(a, b)
    expected = test.confidence_interval(confidence)
    np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), rtol=1e-12)
    assert found.mean / found.standard_error == pytest.approx(test.statistic)


def test_three_pairs_by_hand():
    found = paired_difference([5.0, 6.0, 7.0], [4.0, 4.0, 4.0])  # 1, 2, 3: deviation 1, and t of 2 degrees is 4.303
    assert (found.mean, found.standard_error) == pytest.approx((2, 1 / np.sqrt(3)))
    assert (found.low, found.high) == pytest.approx((2 - 4.303 / np.sqrt(3), 2 + 4.303 / np.sqrt(3)), abs=1e-3)


def test_what_varies_in_both_alike_widens_nothing():
    seeds = np.array([0.0, 40.0, 15.0, 27.0])
    assert paired_difference(seeds + 3, seeds).standard_error == 0


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
