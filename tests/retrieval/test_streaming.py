"""A search that is stopped anywhere goes on to the same table; little memory changes the tiles and nothing else."""

import logging

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval import ExactSearch, SearchState, SymmetricKL, search_stream, symmetric_kl
from sjft_tf.retrieval.streaming import tile_rows


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
    return SymmetricKL(weights)


@pytest.fixture
def state(tmp_path):
    return SearchState(tmp_path / "state.npz", "this")


def test_a_stream_is_searched_as_a_whole(sides, measure, weights, assert_ranked):
    assert_ranked(search_stream(sides[0], Given(sides[1]), measure, max_k=12), symmetric_kl(*sides, weights))


@pytest.mark.parametrize("stop", [0, 10, 20, 30, 40])
def test_a_stopped_search_goes_on_where_it_was(sides, measure, weights, assert_ranked, state, stop):
    with pytest.raises(Stopped):
        search_stream(sides[0], Given(sides[1], stop), measure, max_k=12, state=state)
    rest = Given(sides[1])
    assert_ranked(search_stream(sides[0], rest, measure, max_k=12, state=state), symmetric_kl(*sides, weights))
    assert rest.given == list(range(stop, 47, 10))


def test_a_search_stopped_before_its_table_was_kept_searches_nothing_again(
    sides, measure, weights, assert_ranked, state
):
    search_stream(sides[0], Given(sides[1]), measure, max_k=12, state=state)
    rest = Given(sides[1])
    assert_ranked(search_stream(sides[0], rest, measure, max_k=12, state=state), symmetric_kl(*sides, weights))
    assert rest.given == []
    state.remove()
    state.remove()
    search_stream(sides[0], rest, measure, max_k=12, state=state)
    assert rest.given == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("fault", ["made from other", "broken off", "another cut"])
def test_what_another_search_left_is_not_taken(sides, measure, weights, assert_ranked, state, fault, caplog):
    with pytest.raises(Stopped):
        search_stream(sides[0], Given(sides[1], 20), measure, max_k=12, state=state)
    rest = Given(sides[1])
    if fault == "made from other":
        state = SearchState(state.path, "that")
    elif fault == "broken off":
        state.path.write_bytes(state.path.read_bytes()[:-50])
    else:
        rest.block_rows = 8
    with caplog.at_level(logging.INFO):
        table = search_stream(sides[0], rest, measure, max_k=12, state=state)
    assert "the search starts again" in caplog.text and rest.given[0] == 0
    assert_ranked(table, symmetric_kl(*sides, weights))


def test_memory_decides_the_tiles_and_not_the_table(sides, measure, weights, assert_ranked):
    source = Given(sides[1])
    assert tile_rows(sides[0], source, 12, 4.0) == 1024
    little = (sides[0].nbytes + 24 * 7 * 12 + 20 * source.row_bytes + 2 * (70 * 18 + 60)) / 1e9
    assert tile_rows(sides[0], source, 12, little) in (1, 2)
    assert_ranked(search_stream(sides[0], source, measure, max_k=12, memory_gb=little), symmetric_kl(*sides, weights))


def test_memory_for_not_one_image_is_refused_with_what_is_needed(sides, measure):
    with pytest.raises(
        InputError, match=r"^retrieval.memory_gb is 1e-06; 7 target images with 18 numbers and 12 .* need at least"
    ):
        search_stream(sides[0], Given(sides[1]), measure, max_k=12, memory_gb=1e-6)


def test_features_are_searched_by_squared_distance(rng, tmp_path):
    from sjft_tf.retrieval import SquaredDistance, squared_distance

    targets, sources = (rng.standard_normal((n, 5)).astype(np.float32) for n in (6, 47))
    sources[30:] = sources[:17]  # ties
    expected = ((targets[:, None].astype(float) - sources) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distance(targets, sources), expected, rtol=1e-14)
    table = search_stream(targets, Given(sources), SquaredDistance(), max_k=40)
    order = np.argsort(squared_distance(targets, sources).astype(np.float32), axis=1, kind="stable")[:, :40]
    np.testing.assert_array_equal(table.indices, order)
    search = ExactSearch(sources[:3], SquaredDistance(), max_k=1)
    search.add(0, sources)
    assert not search.table().divergences.any()


@pytest.mark.parametrize(
    ("targets", "sources", "message"),
    [
        (np.zeros((3, 4, 2), np.float32), np.zeros((5, 4), np.float32), r"^target features are float32 \(3, 4, 2\)"),
        (np.zeros((3, 4), np.int32), np.zeros((5, 4), np.float32), "^target features are int32"),
        (
            np.zeros((3, 4), np.float32),
            np.zeros((5, 3), np.float32),
            "^source features have length 3, target features 4$",
        ),
        (np.zeros((3, 4), np.float32), np.full((5, 4), np.nan, np.float32), "^source image 0 has features not finite$"),
    ],
)
def test_features_that_do_not_belong_together_are_refused(targets, sources, message):
    from sjft_tf.retrieval import SquaredDistance

    with pytest.raises(InputError, match=message):
        search_stream(targets, Given(sources), SquaredDistance(), max_k=2)
