"""Batches are a pure function of (seed, round, step) and visit every target image as often as its level says."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from sjft_tf.selection import Selection
from sjft_tf.training.sampling import NUMBERS, sample_batch, spread_classes, target_indices

LABELS = np.repeat(np.arange(3), 4)  # of the 12 target images


def _pass(seed, round, visit, n_target=12, pairs=4):
    steps = range(visit * n_target // pairs, (visit + 1) * n_target // pairs)
    return np.concatenate([target_indices(seed, round, s, n_target=n_target, pairs=pairs) for s in steps])


def _equal(one, other):
    return all(
        np.array_equal(getattr(one, field), getattr(other, field)) for field in ("targets", "sources", "numbers")
    )


def test_each_pass_visits_every_target_image_once_in_a_new_order():
    first, second = _pass(0, 0, 0), _pass(0, 0, 1)
    assert sorted(first) == sorted(second) == list(range(12))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, _pass(1, 0, 0))
    assert not np.array_equal(first, _pass(0, 1, 0))


def test_passes_that_do_not_divide_into_batches_lose_no_image():
    drawn = np.concatenate([target_indices(0, 0, s, n_target=10, pairs=4) for s in range(5)])
    assert np.bincount(drawn, minlength=10).tolist() == [2] * 10


def test_a_batch_larger_than_the_target_wraps_around():
    assert np.bincount(target_indices(0, 0, 0, n_target=3, pairs=7)).max() == 3


def test_with_levels_each_pass_visits_an_image_as_often_as_its_level():
    levels = np.array([1, 5, 9, 11, 1, 3], np.int32)  # of the authors, and some more: 30 in all
    drawn = [target_indices(2, 1, s, n_target=6, pairs=4, levels=levels) for s in range(15)]
    for visit in np.split(np.concatenate(drawn), 2):
        assert np.bincount(visit).tolist() == levels.tolist()
        assert not np.array_equal(visit, np.sort(visit))
    ones = target_indices(2, 1, 3, n_target=6, pairs=4, levels=np.ones(6, np.int32))
    np.testing.assert_array_equal(ones, target_indices(2, 1, 3, n_target=6, pairs=4))


def test_level_sampling_follows_the_selection(table):
    selection = Selection(table, k0=2, sigma0=4, sigma1=2)
    selection.advance(np.zeros(12), np.arange(12) > 0)  # only image 0 is wrong
    visits = {"uniform": [3] * 12, "level": [15] + [3] * 11}
    for target_sampling, expected in visits.items():
        length = sum(expected) // 3  # three passes in steps of 3 pairs
        batches = [sample_batch(selection, 0, 1, s, labels=LABELS, pairs=3, target_sampling=target_sampling)
                   for s in range(length)]  # fmt: skip
        assert np.bincount(np.concatenate([b.targets for b in batches])).tolist() == expected


@pytest.mark.parametrize("mode", ["all", "none"])
def test_levels_are_one_where_there_is_no_table(mode):
    batch = sample_batch(
        Selection(None, mode=mode, n_source=9), 0, 0, 1, labels=LABELS, pairs=4, target_sampling="level"
    )
    np.testing.assert_array_equal(batch.targets, target_indices(0, 0, 1, n_target=12, pairs=4))


def test_surplus_rows_of_a_class_are_replaced_as_the_authors_do(rng):
    labels = np.repeat(np.arange(7), 3)
    targets = np.array([9, 10, 11, 9, 3], np.int32)  # classes 3, 3, 3, 3, 1
    spread = spread_classes(targets, labels, 2, rng)
    assert spread[2:].tolist() == targets[2:].tolist()
    replaced = labels[spread[:2]]
    assert set(replaced) <= {0, 2, 4, 5, 6} and len(set(replaced)) == 2
    assert targets.tolist() == [9, 10, 11, 9, 3], "the caller's array is left alone"


@hypothesis.given(st.lists(st.integers(0, 11), min_size=1, max_size=9), st.integers(1, 3), st.integers(0, 99))
def test_no_class_comes_more_often_unless_no_class_is_left(targets, most, seed):
    """Against the authors' rule row by row."""
    targets = np.array(targets, np.int32)
    spread = spread_classes(targets, LABELS, most, np.random.default_rng(seed))
    kept, absent = LABELS[targets].tolist(), set(range(3)) - set(LABELS[targets])
    for row, label in enumerate(LABELS[spread]):
        is_surplus = kept[row:].count(kept[row]) > most
        if is_surplus and absent:
            assert label in absent
            absent.remove(label)
        else:
            assert spread[row] == targets[row]


def test_replacements_are_random_images_of_random_classes():
    drawn = [spread_classes(np.array([0, 1, 2]), LABELS, 2, np.random.default_rng(seed))[0] for seed in range(800)]
    counts = np.bincount(drawn, minlength=12)
    assert not counts[:4].any()
    # 800 draws: each of the eight images is expected 100 times with a standard deviation of 9.4.
    np.testing.assert_allclose(counts[4:], 100, atol=4 * 9.4)


def test_replaced_rows_draw_neighbors_of_their_own(table):
    selection = Selection(table, k0=3)
    arguments = {"labels": LABELS, "pairs": 4}
    plain = [sample_batch(selection, 0, 0, step, **arguments) for step in range(40)]
    spread = [sample_batch(selection, 0, 0, step, max_per_class=1, **arguments) for step in range(40)]
    assert any(not np.array_equal(p.targets, s.targets) for p, s in zip(plain, spread, strict=True))
    for batch in spread:
        assert len(np.unique(LABELS[batch.targets])) == 3  # of three classes in four rows, one stays twice
        assert (table.indices[batch.targets, :3] == batch.sources[:, None]).any(axis=1).all()


@pytest.mark.parametrize("options", [{}, {"target_sampling": "level", "max_per_class": 1}])
def test_steps_sampled_in_any_order_are_the_same(table, options):
    def draw(step):
        selection = Selection(table, k0=5)
        selection.advance(np.zeros(12), np.arange(12) % 3 > 0)
        return sample_batch(selection, 7, 1, step, labels=LABELS, pairs=4, **options)

    forwards = [draw(step) for step in range(5)]
    backwards = [draw(step) for step in reversed(range(5))][::-1]
    assert all(_equal(one, other) for one, other in zip(forwards, backwards, strict=True))
    assert not _equal(forwards[0], forwards[1])


def test_sources_are_uniform_over_the_first_k_neighbors_of_their_own_target(table):
    selection = Selection(table, k0=3)
    ranks = []
    for step in range(400):
        batch = sample_batch(selection, 0, 0, step, labels=LABELS, pairs=4)
        rows = table.indices[batch.targets]
        found = rows == batch.sources[:, None]
        assert found[:, :3].any(axis=1).all()
        ranks.append(found.argmax(axis=1))
    counts = np.bincount(np.concatenate(ranks), minlength=3)
    # 1,600 draws: each rank is expected 533 times with a standard deviation of 19.
    np.testing.assert_allclose(counts, 1600 / 3, atol=5 * 19)


@pytest.mark.parametrize(("mode", "rows"), [("selective", 8), ("none", 4)])
def test_every_row_has_numbers_of_its_own(table, mode, rows):
    batch = sample_batch(Selection(table, k0=3, mode=mode), 0, 0, 0, labels=LABELS, pairs=4)
    assert batch.numbers.shape == (rows, NUMBERS) and batch.numbers.dtype == np.float32
    assert len(np.unique(batch.numbers)) == rows * NUMBERS
    assert 0 <= batch.numbers.min() and batch.numbers.max() < 1


def test_numbers_are_uniform_and_depend_on_seed_round_step_and_row_alone(table):
    def numbers(*place, pairs=4, **options):
        return sample_batch(Selection(table, k0=3), *place, labels=LABELS, pairs=pairs, **options).numbers

    drawn = np.concatenate([numbers(0, 0, step) for step in range(100)])
    # 800 numbers a column: a decile is expected 80 times with a standard deviation of 8.5; there are 160 of them.
    deciles = np.stack([np.histogram(column, 10, (0, 1))[0] for column in drawn.T])
    np.testing.assert_allclose(deciles, 80, atol=4.5 * 8.5)
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len(np.unique([numbers(*place)[0] for place in places], axis=0)) == 4
    np.testing.assert_array_equal(numbers(0, 0, 0, pairs=2), numbers(0, 0, 0)[:4])
    np.testing.assert_array_equal(numbers(0, 0, 0, max_per_class=1), numbers(0, 0, 0))


def test_numbers_do_not_depend_on_the_drawn_source_image(table):
    selection = Selection(table, k0=12)
    batches = [sample_batch(selection, 0, 0, step, labels=LABELS, pairs=1) for step in range(400)]
    ranks = [table.indices[batch.targets[0]].tolist().index(batch.sources[0]) for batch in batches]
    correlations = np.corrcoef(ranks, np.stack([batch.numbers.ravel() for batch in batches], axis=1))[0, 1:]
    # Of 400 independent pairs it has a standard deviation of 0.05; there are 32.
    np.testing.assert_allclose(correlations, 0, atol=4 * 0.05)
