"""A table made by several worker processes, one of which fails, is the local one to the bit."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval import HistogramMeasure, search_exact

beam = pytest.importorskip("sjft_tf.retrieval.beam")

TWO_WORKERS = ("direct_num_workers=2", "direct_running_mode=multi_processing")


@dataclasses.dataclass(frozen=True)
class CountsOnDisk:
    """Opens descriptors that lie on the disk; the worker that comes first upon a file `fail` removes it and dies."""

    folder: pathlib.Path
    block_rows: int = 10

    def __call__(self):
        return self

    def __len__(self):
        return len(np.load(self.folder / "sources.npy"))

    def blocks(self, first, last):
        counts = np.load(self.folder / "sources.npy")
        for start in range(first, last, self.block_rows):
            with open(self.folder / "searched.txt", "a") as file:
                file.write(f"{start} {os.getpid()}\n")
            if first > 0 and (self.folder / "fail").exists():
                (self.folder / "fail").unlink()
                raise RuntimeError("a worker failed")
            yield start, counts[start : start + self.block_rows]


@pytest.fixture
def sides(rng, draw, tmp_path):
    targets, sources = draw(rng, 300), draw(rng, 74)  # two tiles of targets
    np.save(tmp_path / "sources.npy", sources)
    return targets, sources


def search(tmp_path, targets, weights, **settings):
    return beam.search_beam(
        targets, CountsOnDisk(tmp_path), HistogramMeasure(weights), depth=31, folder=tmp_path / "search",
        made_from="this", shard_blocks=2, **settings,
    )  # fmt: skip


def assert_local(table, sides, weights):
    local = search_exact(*sides, weights, depth=31)
    np.testing.assert_array_equal(table.indices, local.indices)
    np.testing.assert_array_equal(table.divergences, local.divergences)


def searched(tmp_path):
    lines = (tmp_path / "searched.txt").read_text().split()
    return [int(start) for start in lines[::2]], set(lines[1::2])


def test_two_workers_one_of_which_fails_once(tmp_path, sides, weights):
    (tmp_path / "fail").touch()
    assert_local(search(tmp_path, sides[0], weights, options=TWO_WORKERS), sides, weights)
    starts, workers = searched(tmp_path)
    assert not (tmp_path / "fail").exists()
    assert set(starts) == {0, 10, 20, 30, 40, 50, 60, 70}
    assert len(starts) > 8 and starts.count(0) == 1  # what was done before the failure is not done again
    assert len(workers) >= 2 and str(os.getpid()) not in workers


def test_a_search_resumes_from_the_shards_that_are_there_and_whole(tmp_path, sides, weights):
    search(tmp_path, sides[0], weights)
    shards = sorted((tmp_path / "search").glob("shard-*"))
    assert len(shards) == 4
    shards[1].unlink()
    shards[2].write_bytes(shards[2].read_bytes()[:-9])
    (tmp_path / "searched.txt").unlink()
    assert_local(search(tmp_path, sides[0], weights), sides, weights)
    assert sorted(searched(tmp_path)[0]) == [20, 30, 40, 50]


def test_shards_of_another_search_are_not_taken(tmp_path, sides, weights, draw):
    rng = np.random.default_rng(4)
    beam.search_beam(
        draw(rng, 300), CountsOnDisk(tmp_path), HistogramMeasure(weights), depth=31, folder=tmp_path / "search",
        made_from="that",
    )  # fmt: skip
    assert_local(search(tmp_path, sides[0], weights), sides, weights)


def test_what_fails_always_is_an_error_that_says_why(tmp_path, sides, weights):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "tile-00000000.npz").mkdir()
    with pytest.raises(InputError, match="^search on DirectRunner failed 3 times, at last with: .*tile-00000000"):
        search(tmp_path, sides[0], weights)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("direct_num_workers", "'direct_num_workers' is not of the form key=value"),
        ("direct_num_worker=2", "'direct_num_worker' is unknown to Beam; did you mean 'direct_num_workers'"),
    ],
)
def test_options_that_beam_does_not_know_are_refused(option, message):
    with pytest.raises(InputError, match=message):
        beam.pipeline_options("DirectRunner", [option])
