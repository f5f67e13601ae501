"""A small experiment on drawn folders."""

import pathlib
from collections.abc import Callable

import click.testing
import h5py
import numpy as np
import pytest

from sjft_tf.cli import main


@pytest.fixture(scope="session")
def config_text(image_folders) -> str:
    """YAML of an experiment that runs in seconds."""
    return f"""
name: small
image_size: 16
target: {{folder: {image_folders["target"]}}}
validation: {{folder: {image_folders["test"]}}}
test: {{folder: {image_folders["test"]}}}
source: {{folder: {image_folders["source"]}}}
descriptor: {{bins: 4, fine_bins: 100}}
selection: {{k0: 2, rounds: 2}}
model: {{backbone: resnet18v2, width: 0.0625, stem: small, weights: null}}
training: {{steps_per_round: 3, batch_size: 8, learning_rate: 0.05}}
"""


@pytest.fixture(scope="session")
def sjft() -> Callable[..., click.testing.Result]:
    """Runs the command line in this process."""

    def run(*arguments) -> click.testing.Result:
        result = click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="session")
def trained_weights() -> Callable[[pathlib.Path, int], dict[str, np.ndarray]]:
    """Reads what a round left in a run folder: arrays by their name in the file."""

    def read(folder: pathlib.Path, number: int) -> dict[str, np.ndarray]:
        found = {}
        with h5py.File(folder / "checkpoints" / f"round-{number}.weights.h5") as file:
            file.visititems(
                lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        return found

    return read
