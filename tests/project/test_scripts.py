"""The shell scripts: when the environment is made, kept or made again, and what is never touched.

Python stands on PATH as a stub that takes note of its arguments, so that nothing is installed.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("scripts/*.sh"), ROOT / ".ci" / "run"])
TOOLS = "bash basename cat cksum cmp cp dirname flock ls mkdir mv rm tr uname".split()
PYTHON = """#!/bin/bash
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    *) echo "$@" >>"$NOTES" ;;
esac
[[ ! -e $NOTES.fail ]]
"""


@pytest.fixture
def checkout(tmp_path) -> pathlib.Path:
    """A copy of what the scripts read, beside a folder `bin` with the stub and the tools they call."""
    tree = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tree)
    (tmp_path / "bin").mkdir()
    for tool in filter(shutil.which, TOOLS):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    stub = tmp_path / "bin" / "python3"
    stub.write_text(PYTHON)
    stub.chmod(0o755)
    return tree


def start(tree: pathlib.Path, line: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {"PATH": str(tree.parent / "bin"), "NOTES": str(tree.parent / "notes"), **variables}
    command = ["bash", "-c", f"set -euo pipefail; {line}"]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)


def prepare(tree: pathlib.Path, extra: str = "", **variables: str) -> subprocess.CompletedProcess:
    return start(tree, f"source scripts/environment.sh; prepare_environment {extra}", **variables)


def installations(tree: pathlib.Path) -> int:
    """How often requirements were installed, read off the stub's notes."""
    notes = tree.parent / "notes"
    return notes.read_text().count("--requirement") if notes.exists() else 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_script_parses_and_can_be_started(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK) == (script.name != "environment.sh")  # that one is sourced


def test_a_second_start_installs_nothing(checkout):
    for expected in (1, 1):
        assert prepare(checkout).returncode == 0
        assert installations(checkout) == expected


def test_an_environment_with_an_extra_serves_without_it_but_not_the_reverse(checkout):
    for extra, expected in (("", 1), ("dev", 2), ("", 2), ("dev", 2)):
        prepare(checkout, extra)
        assert installations(checkout) == expected


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed_into_the_same_environment(checkout, name):
    prepare(checkout)
    (checkout / ".venv" / "kept").touch()
    with open(checkout / name, "a") as file:
        file.write("\n# changed\n")
    prepare(checkout)
    assert installations(checkout) == 2
    assert (checkout / ".venv" / "kept").exists()


@pytest.mark.parametrize("complete_before", [False, True])
def test_an_environment_left_half_made_is_made_anew(checkout, complete_before):
    if complete_before:
        prepare(checkout)
        (checkout / "constraints.txt").write_text("# changed\n")
    failing = checkout.parent / "notes.fail"
    failing.touch()
    assert prepare(checkout).returncode != 0
    (checkout / ".venv" / "leftover").touch()
    failing.unlink()
    assert prepare(checkout).returncode == 0
    assert not (checkout / ".venv" / "leftover").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(checkout):
    prepare(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    assert prepare(checkout).returncode == 0
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_a_folder_that_is_something_else_is_left_alone(checkout):
    (checkout / "mine").mkdir()
    (checkout / "mine" / "thesis.txt").write_text("everything")
    outcome = prepare(checkout, SJFT_VENV="mine")
    assert outcome.returncode != 0
    assert f"{checkout}/mine was not made by this script" in outcome.stderr
    assert [path.name for path in (checkout / "mine").iterdir()] == ["thesis.txt"]


def test_without_a_fitting_python_one_line_says_so(checkout):
    (checkout.parent / "bin" / "python3").write_text("#!/bin/bash\nexit 1\n")
    outcome = prepare(checkout)
    assert outcome.returncode != 0
    assert outcome.stderr.splitlines() == [
        "sjft-tf needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian and Ubuntu: python3-venv)."
    ]


@pytest.mark.parametrize(("devices", "cuda"), [("GPU 0: some model", True), ("No devices were found", False)])
def test_cuda_comes_with_a_gpu(checkout, devices, cuda):
    tool = checkout.parent / "bin" / "nvidia-smi"
    tool.write_text(f"#!/bin/bash\necho '{devices}'\n")
    tool.chmod(0o755)
    prepare(checkout)
    assert ("requirements.py cuda" in (checkout.parent / "notes").read_text()) == cuda


def test_data_are_unpacked_and_weights_copied_unless_they_are_there(checkout, tmp_path):
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "shared" / "data" / "extract.py").touch()
    (tmp_path / "shared" / "weights").mkdir()
    original, copy = tmp_path / "shared" / "weights" / "trunk.npz", checkout / "weights" / "trunk.npz"
    for content, copied in ((b"old", True), (b"old", False), (b"new", True)):
        original.write_bytes(content)
        before = copy.stat().st_ino if copy.exists() else None
        assert start(checkout, "scripts/prepare_data.sh").returncode == 0
        assert copy.read_bytes() == content
        assert (copy.stat().st_ino != before) == copied
    assert f"extract.py {checkout}/data" in (tmp_path / "notes").read_text()


def test_a_missing_archive_folder_is_named(checkout):
    outcome = start(checkout, "scripts/prepare_data.sh nowhere")
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines() == [
        "nowhere has no extract.py; name the folder of the image archives as the first argument."
    ]
