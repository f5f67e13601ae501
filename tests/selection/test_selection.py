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


@pytest.fixture
def labels(rng):
    """Classes of the 30 source images: 0 is frequent, 3 rare."""
    return rng.choice(4, 30, p=[0.5, 0.3, 0.15, 0.05])


def _drawn(selection, target):
    return selection.draw(np.full(500, target), np.linspace(0, 1, 500, endpoint=False))


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


def test_k_stops_at_the_level_cap(caplog):
    """The level test of the specification, 6.4, with K_0 = 300; the table is deeper than the cap."""
    caplog.set_level("INFO", "sjft_tf")
    table = NeighborTable(np.arange(4000, dtype=np.int32)[None], np.arange(4000, dtype=np.float32)[None])
    for cap, levels in ((None, [1, 5, 9, 11, 11]), (10, [1, 5, 9, 10, 10])):
        selection = Selection(table, k0=300, level_cap=cap)
        seen = [(selection.counts.item(), selection.levels.item())]
        for entropies, correct in ((0.0, False), (0.0, False), (1.0, True), (0.0, True)):
            selection.advance(np.array([entropies]), np.array([correct]))
            seen.append((selection.counts.item(), selection.levels.item()))
        assert seen == [(300 * level, level) for level in levels]
    assert "at the cap, level_cap * k0 = 3000" in caplog.text
    assert Selection(table, k0=3999, level_cap=10).max_k == 4000


def _advanced(table, outcomes, **options):
    """The K that are drawn by in each round."""
    selection = Selection(table, **options)
    seen = [selection.counts]
    for entropies, correct in outcomes:
        selection.advance(entropies, correct)
        seen.append(selection.counts)
    return seen


def test_k_at_random_are_those_of_the_rule_dealt_to_other_images(rng):
    indices = np.stack([rng.permutation(400)[:300] for _ in range(40)]).astype(np.int32)
    table = NeighborTable(indices, np.sort(rng.random((40, 300))).astype(np.float32))
    outcomes = [(rng.random(40) * 0.2, rng.random(40) < 0.6) for _ in range(4)]
    options = {"k0": 10, "level_cap": 14}
    rule, dealt, again, other = (
        _advanced(table, outcomes, **options, **chosen)
        for chosen in ({}, {"k": "random"}, {"k": "random"}, {"k": "random", "seed": 1})
    )
    assert rule[0].tolist() == dealt[0].tolist() == [10] * 40 and rule[-1].max() == 140
    for number in range(1, 5):
        assert sorted(dealt[number]) == sorted(rule[number]) == sorted(other[number])
        assert (dealt[number] != rule[number]).any() and (dealt[number] != other[number]).any()
        np.testing.assert_array_equal(dealt[number], again[number])
    # a settled image keeps its K by the rule; dealt anew in each round, it would not
    settled = [(np.zeros(40), np.ones(40, bool))] * 2
    *_, one, two, three = _advanced(table, outcomes + settled, **options, k="random")
    assert (one != two).any() and (two != three).any() and sorted(one) == sorted(two) == sorted(three)


def test_k_at_random_are_drawn_by_and_seen_in_levels_and_reach(table):
    def advanced(seed):
        selection = Selection(table, k0=4, k="random", seed=seed)
        selection.advance(np.array([0.0, 1.0, 0.0, 0.0, 0.0]), np.array([False, True, True, True, True]))
        return selection

    selection = next(dealt for dealt in map(advanced, range(9)) if dealt.counts[0] < 20)  # the rule gives it to image 0
    image = int(selection.counts.argmax())
    assert selection.counts[image] == 20
    assert set(_drawn(selection, image)) == set(table.indices[image])
    assert selection.levels[image] == 5
    lists = [row[:k] for row, k in zip(table.indices, selection.counts, strict=True)]
    assert selection.reachable == len(np.unique(np.concatenate(lists)))


def test_levels_are_k_over_k0_and_none_without_a_table(table):
    selection = Selection(table, k0=8)
    assert selection.levels.tolist() == [1] * 5
    selection.advance(np.array([0.0, 1.0, 0.0, 0.0, 0.0]), np.array([False, True, True, True, True]))
    assert selection.levels.tolist() == [3, 3, 1, 1, 1]  # 20 of a list of 20, and 24 cut to 20
    assert Selection(table, k0=50).levels.tolist() == [1] * 5
    assert Selection(None, mode="none").levels is None


def test_levels_of_lists_cut_short_are_rounded_up(table):
    selection = Selection(table, k0=20)
    selection.counts = np.array([2, 20, 21, 40, 45], np.int32)
    assert selection.levels.tolist() == [1, 1, 2, 2, 3] and selection.levels.dtype == np.int32


def _drawable(table, counts, labels, least):
    """By brute force: what each target image may draw where classes with fewer images in reach are left out."""
    lists = [row[:k].tolist() for row, k in zip(table.indices, counts, strict=True)]
    in_reach = set().union(*lists)
    frequent = [i for i in in_reach if sum(labels[j] == labels[i] for j in in_reach) >= least]
    return [[i for i in images if i in frequent] or images for images in lists]


@pytest.mark.parametrize("least", [1, 3, 5, 8, 30])
def test_rare_classes_are_not_drawn_from(table, labels, least):
    selection = Selection(table, k0=4, sigma0=2, min_per_class=least, source_labels=labels)
    for correct in (np.arange(5) > 1, np.zeros(5, bool)):
        expected = _drawable(table, selection.counts, labels, least)
        for target, images in enumerate(expected):
            names, times = np.unique(_drawn(selection, target), return_counts=True)
            assert set(names) == set(images)
            assert np.ptp(times) <= 1, "each as often"
        assert selection.reachable == len(set().union(*expected))
        selection.advance(np.zeros(5), correct)


def test_a_target_image_with_neighbors_of_rare_classes_alone_draws_from_all_of_them():
    table = NeighborTable(np.array([[0, 1], [2, 3], [3, 4]], np.int32), np.zeros((3, 2), np.float32))
    selection = Selection(table, k0=2, min_per_class=2, source_labels=np.array([0, 1, 2, 2, 3]))
    assert [sorted(set(_drawn(selection, target))) for target in range(3)] == [[0, 1], [2, 3], [3]]
    assert selection.reachable == 4


@pytest.mark.parametrize("mode", ["random", "all"])
def test_one_set_for_all_target_images_leaves_out_its_own_rare_classes(table, labels, mode):
    plain = Selection(table, k0=4, mode=mode, n_source=30)
    dropping = Selection(table, k0=4, mode=mode, n_source=30, min_per_class=6, source_labels=labels)
    for _ in range(2):
        images = sorted(set(_drawn(plain, 0)))
        frequent = [i for i in images if (labels[images] == labels[i]).sum() >= 6]
        assert 0 < len(frequent) < len(images)
        assert sorted(set(_drawn(dropping, 0))) == frequent
        assert dropping.reachable == len(frequent)
        for selection in (plain, dropping):
            selection.advance(np.zeros(5), np.arange(5) > 0)
    none_frequent = Selection(table, k0=4, mode=mode, n_source=30, min_per_class=31, source_labels=labels)
    assert none_frequent.reachable == Selection(table, k0=4, mode=mode, n_source=30).reachable


def test_without_a_least_number_labels_change_nothing(table, labels):
    plain, labelled = Selection(table, k0=4), Selection(table, k0=4, source_labels=labels)
    np.testing.assert_array_equal(_drawn(plain, 1), _drawn(labelled, 1))


OPTIONS = {"k0": 2, "sigma0": 3, "n_source": 30, "level_cap": 6, "min_per_class": 3}


@pytest.mark.parametrize("k", ["entropy", "random"])
@pytest.mark.parametrize("mode", ["selective", "random", "all", "none"])
def test_a_restored_selection_continues_as_if_never_interrupted(table, labels, mode, k, rng, tmp_path):
    def fresh():
        return Selection(table, mode=mode, k=k, source_labels=labels, **OPTIONS)

    outcomes = [(rng.random(5) * 0.2, rng.random(5) < 0.6) for _ in range(4)]
    straight = fresh()
    for entropies, correct in outcomes:
        np.savez(tmp_path / "state.npz", **straight.state())
        interrupted = fresh()
        interrupted.advance(np.zeros(5), np.zeros(5, bool))  # forgotten
        interrupted.restore(np.load(tmp_path / "state.npz", allow_pickle=False))
        for selection in (straight, interrupted):
            selection.advance(entropies, correct)
        assert (interrupted.round, interrupted.reachable) == (straight.round, straight.reachable)
        np.testing.assert_array_equal(interrupted.counts, straight.counts)
        for target in range(0 if mode == "none" else 5):
            np.testing.assert_array_equal(_drawn(interrupted, target), _drawn(straight, target))
    assert {name: array.dtype for name, array in straight.state().items()} == {"round": "int64", "counts": "int32"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.full(6, 4)}, "for 6 target images, not 5"),
        ({"counts": np.empty(0, int)}, "for 0 target images, not 5"),
        ({"counts": np.array([4, 4, -4, 4, 4])}, "K leaves 4 to 20"),
        ({"counts": np.array([4, 4, 4, 4, 21])}, "K leaves 4 to 20"),
        ({"counts": np.array([4, 4, 4, 4, 8]), "round": np.array(0)}, "K leaves 4 to 4"),
        ({"counts": np.full(5, 4.0)}, "float64, not integers"),
        ({"counts": np.full((2, 5), 4)}, "its shapes"),
        ({"round": np.array([1])}, "its shapes"),
        ({"round": np.array(-1)}, "its round is -1"),
        ({"round": np.array("a")}, "not integers"),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(table, change, message):
    selection = Selection(table, k0=4)
    selection.advance(np.zeros(5), np.arange(5) > 2)
    state = selection.state()
    with pytest.raises(InputError, match=message):
        selection.restore({**state, **change})
    with pytest.raises(InputError, match="not integers"):
        selection.restore({})
    np.testing.assert_array_equal(selection.state()["counts"], state["counts"])
    selection.restore(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "selectve"}, "must be one of selective, random, all, none"),
        ({"mode": "all", "n_source": 3, "k": "rule"}, "k is 'rule'; it must be one of entropy, random"),
        ({"mode": "selective"}, "needs a neighbor table"),
        ({"mode": "all"}, "needs n_source"),
        ({"mode": "none", "k0": 0}, "k0 is 0"),
        ({"mode": "none", "sigma1": -1}, "sigma1 is -1; it must be 0 or more"),
        ({"mode": "none", "level_cap": 0}, "level_cap is 0"),
        ({"mode": "none", "min_per_class": -1}, "min_per_class is -1"),
        ({"mode": "all", "n_source": 3, "min_per_class": 2}, "needs source_labels"),
        ({"mode": "all", "n_source": 3, "min_per_class": 2, "source_labels": np.zeros(4, int)}, "has 4 entries"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Selection(None, **arguments)


def test_a_table_of_another_source_is_noticed(table):
    with pytest.raises(InputError, match="n_source is 10"):
        Selection(table, mode="random", n_source=10)
    with pytest.raises(InputError, match="source_labels has 29 entries, but the neighbor table names image 29"):
        Selection(table, min_per_class=1, source_labels=np.zeros(29, int))


def test_a_table_of_another_domain_of_equal_size_is_refused(table):
    class Images:
        def __init__(self, n, content):
            self.n, self.content, self.name = n, content, content

        def __len__(self):
            return self.n

        def fingerprint(self):
            return self.content

    known = table.of(Images(5, "flowers"), Images(30, "tiny"))
    selection = Selection(known, k0=4, n_source=30)
    selection.check(Images(5, "flowers"), Images(30, "tiny"))
    with pytest.raises(InputError, match="another target than dogs"):
        selection.check(Images(5, "dogs"))
    with pytest.raises(InputError, match="another source than huge"):
        selection.check(Images(5, "flowers"), Images(30, "huge"))
    with pytest.raises(InputError, match="for 30 source images; tiny has 31"):
        Selection(None, mode="all", n_source=30).check(Images(5, "dogs"), Images(31, "tiny"))
