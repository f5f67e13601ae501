"""What is light stays light: the command line and the pure modules are there before TensorFlow is."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "tensorflow_datasets", "scann", "matplotlib", "skimage")


@pytest.mark.parametrize(
    "module", ["sjft_tf", "sjft_tf.cli", "sjft_tf.config", "sjft_tf.selection", "sjft_tf.workspace.folder"]
)
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.split() == []
