"""Files are replaced whole or not at all, and arrays are checked when they are read."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.errors import InputError


def test_a_failure_leaves_the_old_content_and_no_leftover(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_kill_leaves_the_old_content_and_a_leftover_that_is_cleared(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    program = (
        "import os, signal, sys; from sjft_tf import files\n"
        "with files.replacing(sys.argv[1]) as file:\n"
        "    file.write(b'half of the new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    files.remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_only_files_named_as_our_own_leftovers_are_cleared(tmp_path):
    ours = [".a.npz.tmp-12", ".round-0.weights.h5.tmp-12.weights.h5"]
    others = [".a.tmp-backup", ".a.npz.tmp-12-copy", "a.npz.tmp-12", ".tmp-12"]
    for name in [*ours, *others]:
        (tmp_path / name).touch()
    (tmp_path / ".folder.tmp-12").mkdir()
    (tmp_path / ".link.tmp-12").symlink_to(tmp_path / "a.npz.tmp-12")
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, ".folder.tmp-12", ".link.tmp-12"}


def test_replacing_path_keeps_the_suffixes_that_writers_go_by(tmp_path):
    with files.replacing_path(tmp_path / "sub" / "a.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.write_bytes(b"new")
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.weights.h5"]


def test_equal_arrays_make_equal_bytes(tmp_path, rng):
    values = rng.random((3, 4))
    for name in ("a.npz", "b.npz"):
        files.save_arrays(tmp_path / name, values=values, names=np.array(["x", "y"]))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = files.load_arrays(tmp_path / "a.npz", {"values": np.float64, "names": np.str_})
    np.testing.assert_array_equal(loaded["values"], values)


def test_damaged_and_unfit_arrays_are_named(tmp_path, rng):
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match="missing"):
        files.load_arrays(path, {})
    files.save_arrays(path, values=rng.random(1000), objects=np.arange(3))
    with pytest.raises(InputError, match="no array 'counts'"):
        files.load_arrays(path, {"counts": np.int32})
    with pytest.raises(InputError, match="is float64, expected int32"):
        files.load_arrays(path, {"values": np.int32})
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text", content[:500] + b"\xff" * 8 + content[508:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            files.load_arrays(path, {"values": np.float64})


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", values=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        files.load_arrays(tmp_path / "a.npz", {"values": np.object_})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        files.write_text(tmp_path / "a", "")


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        files.write_text(tmp_path / "a" / "b", "")


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_digest_tells_parts_values_types_and_shapes_apart():
    parts = [("a", "b"), ("ab",), (b"ab",), (1,), (1.5,), (np.arange(4),), (np.arange(4).reshape(2, 2),),
             (np.arange(4, dtype=np.int32),), ({"a": 1},), ({"a": 2},)]  # fmt: skip
    assert len({files.digest(*p) for p in parts}) == len(parts)
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})
