"""What is light stays light: the command line and the pure modules are there before TensorFlow is."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "scann", "matplotlib", "skimage")
HEAVIER_THAN_CLICK = (*HEAVY, "numpy", "pydantic", "yaml")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sjft_tf", HEAVIER_THAN_CLICK), ("sjft_tf.cli", HEAVIER_THAN_CLICK), ("sjft_tf.config", (*HEAVY, "numpy")),
        ("sjft_tf.selection", HEAVY),
    ],
)  # fmt: skip
def test_importing_it_loads_nothing_heavy(module, heavy):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({heavy!r})))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.split() == []
