"""A run folder has one writer, and an artifact counts only for the inputs it was made from."""

import concurrent.futures
import subprocess
import sys

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.workspace import RunFolder


def test_artifacts_made_from_something_else_or_damaged_count_as_absent(tmp_path, caplog):
    caplog.set_level("INFO", "sjft_tf")
    folder = RunFolder(tmp_path)
    expected = {"counts": np.int32}
    assert files.load_made_from(folder.neighbors, "hash", expected) is None
    files.save_arrays(folder.neighbors, made_from="hash", counts=np.arange(3, dtype=np.int32))
    np.testing.assert_array_equal(files.load_made_from(folder.neighbors, "hash", expected)["counts"], [0, 1, 2])
    assert files.load_made_from(folder.neighbors, "other", expected) is None
    assert "neighbors.npz was made from other inputs" in caplog.text
    folder.neighbors.write_bytes(folder.neighbors.read_bytes()[:100])
    assert files.load_made_from(folder.neighbors, "hash", expected) is None
    assert "damaged" in caplog.text


def test_only_one_process_holds_the_folder(tmp_path):
    program = (
        "import sys; from sjft_tf.workspace import RunFolder\n"
        "with RunFolder(sys.argv[1]).locked(): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="in use by another process"), RunFolder(tmp_path).locked():
        pass
    holder.communicate("\n")
    with RunFolder(tmp_path).locked():
        pass


def test_a_new_folder_without_a_config_is_removed_again(tmp_path):
    with pytest.raises(InputError), RunFolder(tmp_path / "a" / "run").locked():
        raise InputError("bad input")
    assert not (tmp_path / "a" / "run").exists()
    (tmp_path / "kept").mkdir()
    with pytest.raises(InputError), RunFolder(tmp_path / "kept").locked():
        raise InputError("bad input")
    assert (tmp_path / "kept").exists()


def test_a_new_folder_stays_after_an_interrupt(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path / "run").locked():
        (tmp_path / "run" / "domains").mkdir()
        raise KeyboardInterrupt
    with RunFolder(tmp_path / "run").locked():
        assert (tmp_path / "run" / "domains").exists()


def test_leftovers_of_a_killed_process_are_cleared(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / "selection").mkdir()
    (tmp_path / "selection" / ".round-0.npz.tmp-123").write_text("half")
    with RunFolder(tmp_path).locked():
        assert not list((tmp_path / "selection").iterdir())


@pytest.mark.parametrize("make", [True, False])
def test_somebody_elses_folder_is_left_as_it_is(tmp_path, make):
    (tmp_path / "config.yaml").write_text("of something else, or of an experiment that never ran")
    (tmp_path / ".a.npz.tmp-123").write_text("not ours")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="holds files that are of no run"), RunFolder(tmp_path).locked(make=make):
        pass
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("held", [[], [".lock", "domains"], ["config.yaml", "versions.json", "history.jsonl"]])
def test_an_empty_folder_and_a_run_stopped_early_or_copied_are_taken(tmp_path, held):
    for name in held:
        (tmp_path / name).touch()
    with RunFolder(tmp_path).locked():
        assert (tmp_path / ".lock").exists()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(InputError, match="is no run folder"), RunFolder(tmp_path).locked(make=False):
        pass


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_that_cannot_even_be_looked_for_is_one_line(make):
    """Forbidden to others; a name too long is refused to root too."""
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        with RunFolder("/tmp/" + 300 * "a").locked(make=make):
            pass


def test_history_and_stages_read_back(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_history() == [] and folder.recorded_stages() == {}
    folder.write_history([{"round": 0}, {"round": 1}])
    assert folder.read_history() == [{"round": 0}, {"round": 1}]
    folder.record_stage("train", "abc", 1.234)
    folder.record_stage("export", "abd", 2.0)
    assert folder.recorded_stages()["train"] == {"made_from": "abc", "seconds": 1.23}
    assert list(folder.recorded_stages()) == ["train", "export"]
    folder.stages.write_text(folder.stages.read_text()[:20])
    assert folder.recorded_stages() == {}
    folder.record_stage("train", "abc", 1.0)
    assert list(folder.recorded_stages()) == ["train"]


def test_who_waits_has_the_folder_after_who_holds_it(tmp_path):
    order = []

    def wait() -> None:
        with RunFolder(tmp_path).locked(wait=True):
            order.append("second")

    with concurrent.futures.ThreadPoolExecutor() as threads:
        with RunFolder(tmp_path).locked():
            waiting = threads.submit(wait)
            assert not concurrent.futures.wait([waiting], timeout=0.2).done
            order.append("first")
        waiting.result(timeout=60)
    assert order == ["first", "second"]
