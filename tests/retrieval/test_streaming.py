"""A search that is stopped anywhere resumes to the same table, to the bit."""

import contextlib
import logging

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval import HistogramMeasure, exact, search_exact, search_stream


class Stopped(Exception):
    """Somebody pulled the plug."""


class Given:
    """Descriptors at hand, in the form of a described domain that may stop after some blocks."""

    block_rows = 10

    def __init__(self, counts, stop_after=None):
        self.counts, self.stop_after, self.given = counts, stop_after, []
        self.row_bytes = counts[0].nbytes

    def __len__(self):
        return len(self.counts)

    def blocks(self, first=0, *, progress=None):
        for start in range(first, len(self.counts), self.block_rows):
            if self.stop_after is not None and start >= self.stop_after:
                raise Stopped
            self.given.append(start)
            yield start, self.counts[start : start + self.block_rows]


@pytest.fixture(scope="module")
def sides(draw):
    rng = np.random.default_rng(8)
    return draw(rng, 7), draw(rng, 47)


@pytest.fixture
def measure(weights):
    return HistogramMeasure(weights)


@pytest.fixture
def state(tmp_path):
    """Where a search leaves how far it is."""
    return {"state": tmp_path / "state.npz", "made_from": "this"}


def test_a_stream_is_searched_as_a_whole(sides, measure, weights, assert_same):
    assert_same(search_stream(sides[0], Given(sides[1]), measure, depth=12), search_exact(*sides, weights, depth=12))


@pytest.mark.parametrize("stop", [0, 10, 20, 30, 40])
def test_a_stopped_search_resumes_where_it_was(sides, measure, weights, assert_same, state, stop):
    with pytest.raises(Stopped):
        search_stream(sides[0], Given(sides[1], stop), measure, depth=12, **state)
    rest = Given(sides[1])
    assert_same(search_stream(sides[0], rest, measure, depth=12, **state), search_exact(*sides, weights, depth=12))
    assert rest.given == list(range(stop, 47, 10))


def test_a_search_stopped_before_its_table_was_kept_searches_nothing_again(sides, measure, weights, assert_same, state):
    search_stream(sides[0], Given(sides[1]), measure, depth=12, **state)
    rest = Given(sides[1])
    assert_same(search_stream(sides[0], rest, measure, depth=12, **state), search_exact(*sides, weights, depth=12))
    assert rest.given == []
    state["state"].unlink()
    search_stream(sides[0], rest, measure, depth=12, **state)
    assert rest.given == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("fault", ["made from other", "broken off", "another cut"])
def test_what_another_search_left_is_not_taken(sides, measure, weights, assert_same, state, fault, caplog):
    with pytest.raises(Stopped):
        search_stream(sides[0], Given(sides[1], 20), measure, depth=12, **state)
    rest = Given(sides[1])
    if fault == "made from other":
        state = {**state, "made_from": "that"}
    elif fault == "broken off":
        state["state"].write_bytes(state["state"].read_bytes()[:-50])
    else:
        rest.block_rows = 8
    with caplog.at_level(logging.INFO):
        table = search_stream(sides[0], rest, measure, depth=12, **state)
    assert "the search starts again" in caplog.text and rest.given[0] == 0
    assert_same(table, search_exact(*sides, weights, depth=12))


@pytest.mark.parametrize("block_rows", [1, 7, 16, 50])
@pytest.mark.parametrize("hubness", ["none", "csls"])
def test_other_blocks_and_a_stop_between_them_change_no_bit(
    sides, measure, weights, assert_same, state, monkeypatch, block_rows, hubness
):
    monkeypatch.setattr(exact, "_SOURCE_ROWS", 8)
    whole = search_exact(*sides, weights, depth=12, hubness=hubness)
    stopped, rest = Given(sides[1], 2 * block_rows), Given(sides[1])
    stopped.block_rows = rest.block_rows = block_rows
    with pytest.raises(Stopped) if 2 * block_rows < 47 else contextlib.nullcontext():
        search_stream(sides[0], stopped, measure, depth=12, hubness=hubness, **state)
    assert_same(search_stream(sides[0], rest, measure, depth=12, hubness=hubness, **state), whole)
    assert 0 not in rest.given


def test_memory_for_not_one_image_is_refused_with_what_is_needed(sides, measure):
    with pytest.raises(
        InputError,
        match=r"^retrieval.memory_gb is 1e-06; searching 12 neighbors of 7 target images with 38 numbers each needs at",
    ):
        search_stream(sides[0], Given(sides[1]), measure, depth=12, memory_gb=1e-6)
