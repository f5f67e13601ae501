from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sjft_tf.errors import InputError
from sjft_tf.retrieval import borrowing


def draw_rows(rng, n_target=30, n_source=90, depth=20) -> np.ndarray:
    """`[n_target, depth]` random lists without repetition; low indices are more popular."""
    popularity = 1 / np.arange(1, n_source + 1)
    popularity /= popularity.sum()
    rows = [rng.choice(n_source, depth, replace=False, p=popularity) for _ in range(n_target)]
    return np.array(rows, np.int32)


def listed(rows, counts) -> list[list[int]]:
    """The source images within reach of each target image, one by one."""
    return [[int(row[rank]) for rank in range(count)] for row, count in zip(rows, counts, strict=True)]


def test_occurrences_are_the_lists_that_hold_an_image(rng):
    rows, counts = draw_rows(rng), rng.integers(0, 21, 30)
    found = borrowing.occurrences(rows, counts, 100)
    expected = [sum(image in reach for reach in listed(rows, counts)) for image in range(100)]
    assert found.tolist() == expected


def test_one_k_stands_for_every_target_image(rng):
    rows = draw_rows(rng)
    np.testing.assert_array_equal(borrowing.occurrences(rows, 7, 90), borrowing.occurrences(rows[:, :7], [7] * 30, 90))


@given(st.integers(0, 2**32 - 1))
def test_every_pair_is_counted_once(seed):
    rng = np.random.default_rng(seed)
    rows, counts = draw_rows(rng, 8, 30, 12), rng.integers(0, 13, 8)
    assert borrowing.occurrences(rows, counts, 30).sum() == counts.sum()


def test_classes_are_counted_pair_by_pair(rng):
    rows, counts, labels = draw_rows(rng), rng.integers(0, 21, 30), rng.integers(0, 6, 90)
    pairs = [image for reach in listed(rows, counts) for image in reach]
    shares, expected = borrowing.class_shares(borrowing.occurrences(rows, counts, 90), labels, 7)
    by_class, sizes = (Counter(int(labels[i]) for i in images) for images in (pairs, range(90)))
    np.testing.assert_allclose(shares, [by_class[label] / len(pairs) for label in range(7)])
    np.testing.assert_allclose(expected, [sizes[label] / 90 for label in range(7)])  # class 6 has no image


def test_borrowing_everything_is_uniform(rng):
    rows = np.array([rng.permutation(40) for _ in range(5)])
    np.testing.assert_allclose(*borrowing.class_shares(borrowing.occurrences(rows, 40, 40), np.arange(40) % 3, 3))


def test_nothing_borrowed_is_no_division_by_zero(rng):
    found = borrowing.occurrences(draw_rows(rng), 0, 90)
    shares, expected = borrowing.class_shares(found, np.zeros(90, np.int32), 1)
    assert (shares.tolist(), expected.tolist()) == ([0], [1])
    assert borrowing.hubs(found, 8).tolist() == []
    assert borrowing.skewness(found) == 0


def test_hubs_are_the_most_frequent_images_ties_by_lower_index():
    assert borrowing.hubs(np.array([0, 3, 5, 3, 0, 1, 5]), 5).tolist() == [2, 6, 1, 3, 5]
    assert borrowing.hubs(np.array([0, 3, 5, 3, 0, 1, 5]), 2).tolist() == [2, 6]


def test_skewness_is_scipys(rng):
    found = borrowing.occurrences(draw_rows(rng), 15, 90)
    assert borrowing.skewness(found) == pytest.approx(scipy.stats.skew(found))
    assert borrowing.skewness(found) > 1  # popular images make a long tail


def test_chance_with_one_k_is_a_binomial():
    chance = scipy.stats.binom(60, 25 / 400)
    counts = np.full(60, 25)
    assert borrowing.never_by_chance(counts, 400) == pytest.approx(chance.pmf(0))
    assert borrowing.skewness_by_chance(counts, 400) == pytest.approx(chance.stats("s"))


def test_chance_with_many_k_is_what_random_lists_give(rng):
    counts = rng.integers(1, 40, 25)
    drawn = []
    for _ in range(400):
        rows = rng.permuted(np.tile(np.arange(50), (25, 1)), axis=1)
        drawn.append(borrowing.occurrences(rows, counts, 50))
    occurrences = np.concatenate(drawn)  # 20,000 images
    never = borrowing.never_by_chance(counts // 10, 50)
    thin = np.concatenate([borrowing.occurrences(rng.permuted(rows, axis=1), counts // 10, 50) for _ in range(400)])
    assert (thin == 0).mean() == pytest.approx(never, abs=4 * np.sqrt(never / 20_000))
    assert borrowing.skewness(occurrences) == pytest.approx(borrowing.skewness_by_chance(counts, 50), abs=0.07)


def test_lists_of_the_whole_source_leave_nothing_to_chance():
    assert borrowing.skewness_by_chance(np.full(5, 8), 8) == 0
    assert borrowing.never_by_chance(np.full(5, 8), 8) == 0


@pytest.mark.parametrize(
    ("counts", "n_source", "message"),
    [(21, 90, "K is 21 to 21; the rows are 20 long"), (-1, 90, "K is -1"), (5, 3, "n_source is 3, but")],
)
def test_a_table_that_does_not_fit_is_refused(rng, counts, n_source, message):
    with pytest.raises(InputError, match=message):
        borrowing.occurrences(draw_rows(rng), counts, n_source)
