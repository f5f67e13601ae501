"""Shared fixtures: a seeded generator, small folders of drawn images, and a domain of given images."""

import io
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import PIL.Image
import pytest

from sjft_tf import files


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


def draw_folder(path: pathlib.Path, classes: dict[str, int], *, seed: int, size: int = 24) -> pathlib.Path:
    """Write `classes[name]` PNGs of noise around the color of the class's name into `path/name/`."""
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (path / name).mkdir(parents=True)
        color = np.random.default_rng(list(name.encode())).integers(40, 216, 3)
        for i in range(count):
            pixels = np.clip(color + rng.integers(-40, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(path / name / f"{i:02d}.png")
    return path


@pytest.fixture(scope="session")
def image_folders(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Folders of a target (3 classes of 4 images), a test domain (3 of 5), and a source (4 of 6)."""
    root = tmp_path_factory.mktemp("images")
    target = dict.fromkeys(("ash", "birch", "cedar"), 4)
    return {
        "target": draw_folder(root / "target", target, seed=1),
        "test": draw_folder(root / "test", dict.fromkeys(target, 5), seed=3),
        "source": draw_folder(root / "source", dict.fromkeys(("wool", "silk", "felt", "jute"), 6), seed=2),
    }


class DrawnImages:
    """A domain of given images; PNG, so that they arrive as they are."""

    name = "drawn"
    class_names = ("any",)
    rejected = ()

    def __init__(self, images):
        self.images = images
        self.ids = [f"{i:03}" for i in range(len(images))]
        self.labels = np.zeros(len(images), np.int32)

    def __len__(self):
        return len(self.images)

    def encoded(self, indices):
        return [self._png(self.images[i]) for i in indices]

    def fingerprint(self):
        return files.digest(self.images)

    @staticmethod
    def _png(image):
        file = io.BytesIO()
        PIL.Image.fromarray(image).save(file, "png")
        return file.getvalue()


@pytest.fixture(scope="session")
def drawn_images():
    return DrawnImages
