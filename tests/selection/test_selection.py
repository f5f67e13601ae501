"""What each selection mode draws, and when a new K holds."""

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval import NeighborTable
from sjft_tf.selection import Selection


@pytest.fixture
def table(rng):
    indices = np.stack([rng.permutation(30)[:20] for _ in range(5)]).astype(np.int32)
    return NeighborTable(indices, np.sort(rng.random((5, 20))).astype(np.float32))


def _drawn(selection, target, **step):
    uniforms = np.linspace(0, 1, 500, endpoint=False)
    return selection.draw(np.full(500, target), uniforms, **step)


def test_selective_draws_uniformly_from_the_first_k(table):
    drawn = _drawn(Selection(table, k0=4), 2)
    names, counts = np.unique(drawn, return_counts=True)
    assert set(names) == set(table.indices[2, :4])
    assert counts.tolist() == [125] * 4


def test_k_grows_by_the_rule_and_stops_at_the_tables_width(table, caplog):
    caplog.set_level("INFO", "sjft_tf")
    selection = Selection(table, k0=4, sigma0=4, sigma1=2)
    outcome = selection.advance(np.array([0.0, 1.0, 0.0, 0.0, 0.5]), np.array([False, True, True, True, True]))
    assert (outcome.n_wrong, outcome.n_uncertain, outcome.n_settled) == (1, 2, 2)
    assert selection.counts.tolist() == [20, 12, 4, 4, 12]
    assert selection.round == 1
    assert "cap" in caplog.text and "width 20" in caplog.text
    assert set(_drawn(selection, 1)) == set(table.indices[1, :12])


def test_new_k_holds_from_its_first_step(table):
    selection = Selection(table, k0=4)
    selection.advance(np.zeros(5), np.zeros(5, bool), first_step=10)
    assert set(_drawn(selection, 0, step=9)) == set(table.indices[0, :4])
    assert set(_drawn(selection, 0, step=10)) == set(table.indices[0])
    assert set(_drawn(selection, 0)) == set(table.indices[0])


def test_random_draws_as_many_distinct_images_as_are_in_reach_and_only_adds(table):
    selective, random = Selection(table, k0=4), Selection(table, k0=4, mode="random", n_source=30)
    first = set(_drawn(random, 0))
    assert len(first) == selective.reachable == random.reachable == len(np.unique(table.indices[:, :4]))
    assert first == set(_drawn(random, 3)), "one set for all target images"
    random.advance(np.zeros(5), np.array([False, True, True, True, True]))
    assert first < set(_drawn(random, 0))
    assert set(_drawn(Selection(table, k0=4, mode="random", n_source=30, seed=1), 0)) != first


def test_all_reaches_the_whole_source():
    selection = Selection(None, mode="all", n_source=30)
    assert set(_drawn(selection, 0)) == set(range(30))
    assert selection.reachable == 30
    selection.advance(np.zeros(5), np.zeros(5, bool))
    assert selection.reachable == 30 and selection.counts is None


def test_k0_above_the_width_is_capped_and_said(table, caplog):
    caplog.set_level("INFO", "sjft_tf")
    assert Selection(table, k0=50).counts.tolist() == [20] * 5
    assert "k0 = 50 is capped" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "selectve"}, "must be one of selective, random, all, none"),
        ({"mode": "selective"}, "needs a neighbor table"),
        ({"mode": "all"}, "needs n_source"),
        ({"mode": "none", "k0": 0}, "k0 is 0"),
        ({"mode": "none", "sigma1": -1}, "none may be negative"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Selection(None, **arguments)


def test_a_table_of_another_source_is_noticed(table):
    with pytest.raises(InputError, match="n_source is 10"):
        Selection(table, mode="random", n_source=10)
