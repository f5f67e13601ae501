"""The bound of the k-th true score: never too low, and tight where the errors are small."""

import numpy as np
import pytest

from sjft_tf.retrieval.candidates import kth_at_most


@pytest.mark.parametrize("m", [1, 7, 100, 5000])
@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("ordered", [False, True])
def test_k_true_scores_are_within_the_bound_and_it_is_near(rng, m, spread, ordered):
    true = rng.normal(size=m)
    true = np.sort(true) if ordered else true
    errors = (spread * rng.random(m)).astype(np.float32)
    scores = (true - errors * rng.random(m)).astype(np.float32)
    for k in {1, m // 2 or 1, m}:
        bound = kth_at_most(scores, errors, k)
        kth = np.sort(true)[k - 1]
        assert kth - 1e-6 <= bound <= kth + spread + 1e-6


def test_scores_in_a_cycle_that_mislead_the_sample_do_no_harm():
    scores = np.tile(np.float32([-9, 2, 2, 2, 2, 2, 2, 2]), 400)  # the sample sees the least only
    errors = np.zeros(3200, np.float32)
    assert kth_at_most(scores, errors, 300) == -9
    assert kth_at_most(scores, errors, 401) == 2
    assert kth_at_most(-scores, errors, 500) == -2


def test_what_is_known_is_not_searched_again(rng):
    scores, errors = rng.normal(size=1000).astype(np.float32), np.zeros(1000, np.float32)
    least = np.sort(scores)
    assert kth_at_most(scores, errors, 50, below=least[49]) == least[49]
    assert kth_at_most(scores, errors, 50, below=least[48]) == np.inf
    assert kth_at_most(scores, errors, 1001) == np.inf
