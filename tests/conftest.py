"""Shared fixtures: a seeded generator, and small folders of drawn images."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import PIL.Image
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


def draw_folder(path: pathlib.Path, classes: dict[str, int], *, seed: int, size: int = 24) -> pathlib.Path:
    """Write `classes[name]` PNGs of noise around a color of the class's own into `path/name/`."""
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (path / name).mkdir(parents=True)
        color = rng.integers(40, 216, 3)
        for i in range(count):
            pixels = np.clip(color + rng.integers(-40, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(path / name / f"{i:02d}.png")
    return path


@pytest.fixture(scope="session")
def image_folders(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Folders of a target (3 classes of 4 images), a test domain with the same classes, and a source (4 of 6)."""
    root = tmp_path_factory.mktemp("images")
    target = dict.fromkeys(("ash", "birch", "cedar"), 4)
    return {
        "target": draw_folder(root / "target", target, seed=1),
        "test": draw_folder(root / "test", target, seed=1),
        "source": draw_folder(root / "source", dict.fromkeys(("wool", "silk", "felt", "jute"), 6), seed=2),
    }
