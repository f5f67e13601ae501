"""A store of artifacts by hash: linked, never copied where that can be, and safe from who makes one anew."""

import concurrent.futures
import os

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.workspace import RunFolder
from sjft_tf.workspace.sharing import Sharing


@pytest.fixture
def given(tmp_path):
    """A run that has given its table to the store."""
    run = RunFolder(tmp_path / "one", shared=tmp_path / "shared")
    files.save_arrays(run.neighbors, made_from="abc", x=np.arange(3))
    run.sharing.give(run.neighbors, "abc")
    return run


def test_what_one_run_gives_another_takes_as_the_same_file(given, tmp_path):
    other = RunFolder(tmp_path / "two", shared=tmp_path / "shared")
    other.sharing.take(other.neighbors, "abd")
    assert not other.neighbors.exists()
    other.sharing.take(other.neighbors, "abc")
    assert other.neighbors.samefile(given.neighbors)
    other.sharing.take(other.neighbors, "abc")  # again, as on resuming
    assert not list(other.path.glob(".*"))


def test_who_makes_it_anew_changes_nobody_elses(given, tmp_path):
    other = RunFolder(tmp_path / "two", shared=tmp_path / "shared")
    other.sharing.take(other.neighbors, "abc")
    before = given.neighbors.read_bytes()
    files.write_text(other.neighbors, "anything else")
    assert given.neighbors.read_bytes() == before
    other.sharing.take(other.neighbors, "abc")
    assert other.neighbors.read_bytes() == before


def test_a_damaged_one_is_replaced_by_what_is_given_next(given, tmp_path):
    files.write_text(given.neighbors, "whole again")
    given.sharing.give(given.neighbors, "abc")
    assert (tmp_path / "shared" / "abc" / "neighbors.npz").read_text() == "whole again"


def test_where_nothing_can_be_linked_it_is_copied(given, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    other = RunFolder(tmp_path / "two", shared=tmp_path / "shared")
    other.sharing.take(other.neighbors, "abc")
    assert other.neighbors.read_bytes() == given.neighbors.read_bytes()
    assert not other.neighbors.samefile(given.neighbors)


def test_of_two_that_lack_the_same_one_makes_it_and_the_other_finds_it(tmp_path):
    made, store = [], Sharing(tmp_path / "shared")

    def make(number: int) -> None:
        run = RunFolder(tmp_path / str(number), shared=tmp_path / "shared")
        with run.sharing.awaited(["b", "a"]):
            run.sharing.take(run.neighbors, "a")
            if not run.neighbors.exists():
                made.append(number)
                files.write_text(run.neighbors, f"by {number}")
            run.sharing.give(run.neighbors, "a")

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(8)))
    assert len(made) == 1
    assert {(tmp_path / str(number) / "neighbors.npz").read_text() for number in range(8)} == {f"by {made[0]}"}
    with store.awaited(["a"]), store.awaited(["a"]):  # what is there is waited for by nobody
        pass


def test_without_a_store_nothing_is_shared_and_what_is_absent_is_not_given(tmp_path):
    alone = RunFolder(tmp_path / "one")
    files.write_text(alone.neighbors, "mine")
    alone.sharing.give(alone.neighbors, "abc")
    alone.sharing.take(alone.neighbors, "abc")
    assert alone.neighbors.read_text() == "mine" and alone.sharing.folder("abc") is None
    Sharing(tmp_path / "shared").give(tmp_path / "absent", "abc")
    assert not (tmp_path / "shared").exists()
