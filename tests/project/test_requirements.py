"""scripts/requirements.py prints what setup.cfg says, with TensorFlow's build exchanged on request."""

import pathlib
import subprocess
import sys

from packaging.requirements import Requirement

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "requirements.py"


def printed(*arguments: str) -> list[Requirement]:
    output = subprocess.run([sys.executable, SCRIPT, *arguments], check=True, capture_output=True, text=True).stdout
    return [Requirement(line) for line in output.splitlines()]


def test_only_tensorflow_itself_is_exchanged():
    gpu, cpu = printed(), printed("--cpu")
    changed = [(one, other) for one, other in zip(gpu, cpu, strict=True) if one != other]
    assert [(str(one), str(other)) for one, other in changed] == [("tensorflow~=2.20.0", "tensorflow-cpu~=2.20.0")]


def test_extras_come_on_top():
    added = {requirement.name for requirement in printed("dev", "cuda")} - {item.name for item in printed()}
    assert {"pytest", "ruff", "mypy", "import-linter"} <= added
    assert "and-cuda" in printed("cuda")[-1].extras
