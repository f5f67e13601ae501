"""Recall against sets, the interval against the definition, exact binomial intervals and its promise to hold."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from sjft_tf.retrieval.approximate.certificate import Certificate, mean_interval, recalls


def test_recall_is_the_share_of_the_exact_list_among_the_candidates(rng):
    exact = np.array([rng.choice(100, 10, replace=False) for _ in range(20)])
    candidates = np.sort([rng.choice(100, 30, replace=False) for _ in range(20)], axis=1)
    expected = [len(set(one) & set(other)) / 10 for one, other in zip(exact.tolist(), candidates.tolist(), strict=True)]
    np.testing.assert_allclose(recalls(candidates, exact), expected)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.beta(30, 0.3, 100),  # near 1, as recalls are
        lambda rng: (rng.random(100) < 0.98).astype(float),  # all or nothing
        lambda rng: rng.random(50),
        lambda rng: rng.integers(0, 2, 10).astype(float),
    ],
)
def test_interval_holds_the_mean_as_often_as_it_says(draw):
    rng = np.random.default_rng(1)
    mean = np.mean([draw(rng).mean() for _ in range(2000)])
    intervals = [mean_interval(draw(rng), 10**6) for _ in range(100)]
    held = sum(low <= mean <= high for low, high in intervals)
    assert held >= scipy.stats.binom.ppf(0.001, 100, 0.95)


def test_interval_is_that_of_the_definition(rng):
    """Wealth written as two products, for a few means."""
    values = np.sort(rng.beta(9, 1, 40))[::-1]  # the most wealth is not had at the end
    low, high = mean_interval(values, 1000)
    for mean in (low - 0.0005, low + 0.0005, high - 0.0005, high + 0.0005):
        wealth = [1.0, 1.0]
        most, seen = 1.0, []
        for value in values:
            means = [(0.5 + sum(seen[:i])) / (i + 1) for i in range(1, len(seen) + 1)]
            variance = (0.25 + sum((x - m) ** 2 for x, m in zip(seen, means, strict=True))) / (len(seen) + 1)
            bet = np.sqrt(2 * np.log(2 / 0.05) / (variance * len(values)))
            wealth[0] *= 1 + min(bet, 0.75 / mean) * (value - mean)
            wealth[1] *= 1 - min(bet, 0.75 / (1 - mean)) * (value - mean)
            most = max(most, wealth[0] / 2, wealth[1] / 2)
            seen.append(value)
        assert (most < 1 / 0.05) == (low <= mean <= high)


def test_recalls_of_one_leave_a_doubt_of_about_the_exact_binomial_interval():
    low, high = mean_interval(np.ones(200), 10**6)
    exact = scipy.stats.binomtest(200, 200).proportion_ci().low
    assert 1 - 2 * (1 - exact) < low < exact
    assert high == 1


def test_interval_lies_around_the_mean_within_bounds_and_shrinks(rng):
    widths = []
    for n in (20, 100, 1000):
        values = rng.beta(20, 1, n)
        low, high = mean_interval(values, 10**6)
        assert 0 <= low < values.mean() < high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert mean_interval(np.zeros(100), 10**6)[0] == 0


def test_a_sample_of_all_targets_leaves_no_doubt(rng):
    values = rng.random(30)
    assert mean_interval(values, 30) == (values.mean(), values.mean())


def test_certificate_is_json_by_name():
    certificate = Certificate(0.99, 0.97, 1.0, 200, 850, 980, 0.95)
    assert Certificate(**json.loads(json.dumps(dataclasses.asdict(certificate)))) == certificate
    assert "recall@850 0.9900" in certificate.summary()
