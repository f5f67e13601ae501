"""Batches are a pure function of (seed, round, step) and visit every target image once a pass."""

import numpy as np
import pytest

from sjft_tf.selection import Selection
from sjft_tf.training.sampling import sample_batch, target_indices


def _pass(seed, round, visit, n_target=12, pairs=4):
    steps = range(visit * n_target // pairs, (visit + 1) * n_target // pairs)
    return np.concatenate([target_indices(seed, round, s, n_target=n_target, pairs=pairs) for s in steps])


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


def test_steps_sampled_in_any_order_are_the_same(table):
    def draw(step):
        return sample_batch(Selection(table, k0=5), 7, 1, step, n_target=12, pairs=4)

    forwards = [draw(step) for step in range(5)]
    backwards = [draw(step) for step in reversed(range(5))][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        for field in ("targets", "sources", "seeds"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_sources_are_uniform_over_the_first_k_neighbors_of_their_own_target(table):
    selection = Selection(table, k0=3)
    ranks = []
    for step in range(400):
        batch = sample_batch(selection, 0, 0, step, n_target=12, pairs=4)
        rows = table.indices[batch.targets]
        found = rows == batch.sources[:, None]
        assert found[:, :3].any(axis=1).all()
        ranks.append(found.argmax(axis=1))
    counts = np.bincount(np.concatenate(ranks), minlength=3)
    # 1,600 draws: each rank is expected 533 times with a standard deviation of 19.
    np.testing.assert_allclose(counts, 1600 / 3, atol=5 * 19)


@pytest.mark.parametrize(("mode", "rows"), [("selective", 8), ("none", 4)])
def test_every_row_has_a_seed_of_its_own(table, mode, rows):
    batch = sample_batch(Selection(table, k0=3, mode=mode), 0, 0, 0, n_target=12, pairs=4)
    assert batch.seeds.shape == (rows, 2)
    assert len(np.unique(batch.seeds, axis=0)) == rows
