import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjft_tf.errors import InputError
from sjft_tf.retrieval.specificity import Specificity, overlap, own_share


def draw_lists(rng, n_target=20, n_source=90, depth=15) -> np.ndarray:
    """`[n_target, depth]` random lists without repetition; low indices are more popular."""
    popularity = 1 / np.arange(1, n_source + 1)
    popularity /= popularity.sum()
    rows = [rng.choice(n_source, depth, replace=False, p=popularity) for _ in range(n_target)]
    return np.array(rows, np.int32)


def pair_by_pair(lists, groups) -> float:
    """Mean share of common images, by sets, over all pairs of one group."""
    pairs = [pair for pair in itertools.combinations(range(len(lists)), 2) if groups[pair[0]] == groups[pair[1]]]
    return float(np.mean([len(set(lists[i]) & set(lists[j])) / lists.shape[1] for i, j in pairs]))


@given(st.integers(0, 2**32 - 1))
def test_overlap_is_that_of_sets_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    lists, classes = draw_lists(rng, 12, 30, 8), rng.integers(0, 4, 12)
    one = np.zeros(12, int)
    assert overlap(lists, one, 30) == pytest.approx(pair_by_pair(lists, one), rel=1e-12)
    assert overlap(lists, classes, 40) == pytest.approx(pair_by_pair(lists, classes), rel=1e-12)


def test_equal_lists_share_everything_and_disjoint_ones_nothing():
    classes = np.repeat(np.arange(4), 3)
    lists = np.arange(40).reshape(4, 10)[classes]
    assert overlap(lists, classes, 40) == 1
    assert overlap(lists, np.zeros(12, int), 40) == pytest.approx(4 * 3 * 2 / (12 * 11))  # pairs of one class, of all
    assert overlap(lists[::3], np.zeros(4, int), 40) == 0


def test_lists_of_nobody_else_in_their_class_have_no_overlap(rng):
    assert np.isnan(overlap(draw_lists(rng, 5), np.arange(5), 90))


def test_random_lists_share_what_chance_says(rng):
    lists = rng.permuted(np.tile(np.arange(200), (300, 1)), axis=1)[:, :30]
    found = Specificity.of(lists, np.repeat(np.arange(100), 3), 200, depth=30)
    assert found.overlap_by_chance == 0.15
    # of a pair hypergeometric: 30 (0.15) (0.85) (170 / 199) common images; pairs are uncorrelated
    deviation = np.sqrt(0.15 * 0.85 * 170 / 199 / 30)
    assert found.overlap == pytest.approx(0.15, abs=4 * deviation / np.sqrt(300 * 299 / 2))
    assert found.overlap_in_class == pytest.approx(0.15, abs=4 * deviation / np.sqrt(300))


def test_only_the_first_neighbors_up_to_the_depth_are_compared(rng):
    rows, classes = draw_lists(rng, depth=15), rng.integers(0, 5, 20)
    found = Specificity.of(rows, classes, 90, depth=6)
    assert found.depth == 6
    assert found.overlap == pytest.approx(pair_by_pair(rows[:, :6], np.zeros(20)))
    assert found.overlap_in_class == pytest.approx(pair_by_pair(rows[:, :6], classes))
    assert found.overlap_by_chance == 6 / 90
    assert found.own_share is None


def test_own_share_is_mean_covariance_over_mean_variance(rng):
    divergences = rng.gamma(2.0, size=(9, 1)) + rng.gamma(2.0, size=30) + rng.gamma(2.0, size=(9, 30))
    covariances = np.cov(divergences)
    expected = covariances[~np.eye(9, dtype=bool)].mean() / covariances.diagonal().mean()
    assert own_share(divergences) == pytest.approx(expected)
    assert own_share(divergences.astype(np.float32)) == pytest.approx(expected, abs=1e-5)


def test_own_share_is_the_intraclass_correlation_of_a_published_table():
    # Shrout and Fleiss, Psychological Bulletin 86, 1979, table 2: four judges, six targets; ICC(3,1) = 0.71
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    assert own_share(ratings.T) == pytest.approx(0.71, abs=0.005)


def test_own_share_of_a_sum_is_1_and_does_not_see_what_a_target_image_adds(rng):
    own = rng.normal(size=50)
    assert own_share(own + rng.normal(size=(7, 1))) == pytest.approx(1)
    noise = rng.normal(size=(7, 50))
    assert own_share(own + noise + rng.normal(size=(7, 1))) == pytest.approx(own_share(own + noise))


@pytest.mark.parametrize("n", [3, 400])
def test_own_share_estimates_the_same_from_few_target_images_as_from_many(rng, n):
    # 4 of 5 of the variance is the rest; the share that column means explain would be 0.2 + 0.8 / n
    found = [own_share(rng.normal(size=200) + 2 * rng.normal(size=(n, 200))) for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.2, abs=4 * np.std(found) / 10)


def test_of_nothing_that_varies_nothing_is_an_images_own():
    assert own_share(np.full((3, 4), 2.5)) == 0


def test_words_and_values(rng):
    found = Specificity(850, 0.0583, 0.0991, 0.017, 0.711)
    assert found.words() == (
        "The first 850 neighbors of two target images have 5.8 % in common, of two of one class 9.9 %; of random lists "
        "it would be 1.7 %. About 71 % of the variance of a target image's divergences is the source image's own, the "
        "same for every target image."
    )
    assert Specificity(**json.loads(json.dumps(dataclasses.asdict(found)))) == found
    alone = Specificity.of(draw_lists(rng, 5), np.arange(5), 90, depth=15)
    assert alone.overlap_in_class is None
    assert "class" not in alone.words() and "variance" not in alone.words()


@pytest.mark.parametrize(
    ("n", "n_source", "depth", "message"),
    [
        (1, 90, 5, "of 1 target image; lists are compared in pairs"),
        (9, 90, 16, "depth is 16; it must be 1 to 15"),
        (9, 90, 0, "depth is 0"),
        (9, 5, 15, "n_source is 5, but the neighbor table names image"),
    ],
)
def test_lists_that_cannot_be_compared_are_refused(rng, n, n_source, depth, message):
    with pytest.raises(InputError, match=message):
        Specificity.of(draw_lists(rng, n), np.zeros(n, int), n_source, depth=depth)


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (8,)])
def test_divergences_without_two_of_each_are_refused(shape):
    with pytest.raises(InputError, match="needs at least"):
        own_share(np.ones(shape))
