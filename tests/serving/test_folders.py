"""Staging and replacing folders, killed at every step."""

import pathlib
import signal
import subprocess
import sys

import pytest

from sjft_tf.serving import folders

# Replaces the version folder by one with other content, and dies at the rename whose number is given. The module is run
# from its file, which spares the process the import of TensorFlow.
PUBLISH = f"""
import os, pathlib, runpy, signal, sys
folders, destination, fatal = runpy.run_path({folders.__file__!r}), pathlib.Path(sys.argv[1]), int(sys.argv[2])
renames, rename = iter(range(9)), os.rename
def killing(*paths):
    if next(renames) == fatal:
        os.kill(os.getpid(), {signal.SIGKILL})
    rename(*paths)
os.rename = killing
with folders["staging"](destination) as new:
    (new / "1").mkdir()
    for name in "ab":
        (new / "1" / name).write_text("new")
    folders["flush"](new)
    folders["replace_folder"](new / "1", destination / "saved_model" / "1")
"""


def publish(destination: pathlib.Path, fatal: int) -> int:
    return subprocess.run([sys.executable, "-c", PUBLISH, str(destination), str(fatal)], check=False).returncode


def contents(folder: pathlib.Path) -> list[str]:
    return sorted(path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize("fatal", [0, 1])
def test_a_kill_leaves_the_old_folder_or_none_and_the_next_run_repairs_it(tmp_path, fatal):
    version = tmp_path / "saved_model" / "1"
    version.mkdir(parents=True)
    for name in "abc":
        (version / name).write_text("old")

    assert publish(tmp_path, fatal) == -signal.SIGKILL
    assert contents(version) == ["old"] * 3 if fatal == 0 else not version.exists()
    assert publish(tmp_path, fatal=-1) == 0
    assert contents(version) == ["new"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model"]


def test_a_version_beside_the_replaced_one_stays(tmp_path):
    other = tmp_path / "saved_model" / "2"
    other.mkdir(parents=True)
    assert publish(tmp_path, fatal=-1) == 0
    assert sorted(path.name for path in other.parent.iterdir()) == ["1", "2"]


def test_staging_is_empty_and_gone_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), folders.staging(tmp_path / "export") as new:
        assert new.parent == tmp_path / "export" and not list(new.iterdir())
        (new / "file").touch()
        raise RuntimeError
    assert not list((tmp_path / "export").iterdir())
