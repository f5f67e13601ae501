"""Shared fixtures: a seeded generator, small folders of synthetic images, and a domain of given images."""

import io
import os
import pathlib
import struct
import zlib
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import click.testing
import h5py
import numpy as np
import PIL.Image
import pytest
from forking import forked  # noqa: F401

from sjft_tf import files
from sjft_tf.cli import main


def pytest_ignore_collect(collection_path, config):
    """Of the tests that depend on arithmetic, which run three times, only the files are imported that have any."""
    if config.option.markexpr == "arithmetic" and collection_path.match("test_*.py"):
        return "mark.arithmetic" not in collection_path.read_text("utf-8") or None
    return None


def pytest_collection_modifyitems(config, items):
    """With several workers a file's tests stay together, for its fixtures' sake; so do all that look at `finished`."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            group = "finished" if "finished" in item.fixturenames else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


def draw_folder(path: pathlib.Path, classes: dict[str, int], *, seed: int, size: int = 24) -> pathlib.Path:
    """Write `classes[name]` JPEGs of noise around the color of the class's name into `path/name/`."""
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (path / name).mkdir(parents=True)
        color = np.random.default_rng(list(name.encode())).integers(40, 216, 3)
        for i in range(count):
            pixels = np.clip(color + rng.integers(-40, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(path / name / f"{i:02d}.jpg")
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


@pytest.fixture
def picture(rng):
    """A smooth RGB picture, 30 rows by 40 columns, unlike each of its mirror images and turns."""
    return PIL.Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((40, 30), PIL.Image.BICUBIC)


@pytest.fixture(scope="session")
def encode():
    """`encode(picture, format, **options) -> bytes`, by Pillow."""

    def encode(image, image_format, **options):
        file = io.BytesIO()
        image.save(file, image_format, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def pillow():
    """`pillow(encoded) -> uint8 [h, w, 3]`, the reference decoder."""
    return lambda encoded: np.array(PIL.Image.open(io.BytesIO(encoded)).convert("RGB"))


@pytest.fixture(scope="session")
def png():
    """`png(width, height, depth, color, rows) -> bytes`: a PNG file written by hand from its raw rows."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def png(width, height, depth, color, rows):
        header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
        body = zlib.compress(rows, 1)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    return png


@pytest.fixture
def broken(picture, encode, png):
    """Files that are no good, by what is wrong with them."""
    jpeg, portable, bitmap, gif, webp = (encode(picture, kind) for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP"))
    size_in_jpeg = jpeg.index(b"\xff\xc0") + 5
    frame_in_gif = gif.index(b"\x2c\0\0\0\0")
    return {
        "empty": b"",
        "two bytes": jpeg[:2],
        "text": b"these are not the bytes of an image\n" * 9,
        "TIFF": encode(picture, "TIFF"),
        "JPEG without its end": jpeg[:-30],
        "JPEG header alone": jpeg[:100],
        "JPEG of 65500 x 65500": jpeg[:size_in_jpeg] + b"\xff\xdc\xff\xdc" + jpeg[size_in_jpeg + 4 :],
        "PNG without its end": portable[:-20],
        "PNG with zeros inside": portable[:-300] + bytes(50) + portable[-250:],
        "PNG bomb": png(10_000, 10_000, 1, 0, bytes(10_000 * 1251)),
        "BMP without its end": bitmap[:-1],
        "BMP of 2^31 rows": bitmap[:22] + b"\0\0\0\x80" + bitmap[26:],
        "BMP of 16 bits": bitmap[:28] + b"\x10\0" + bitmap[30:],
        "BMP of OS/2": bitmap[:14] + b"\x0c" + bitmap[15:],
        "WebP without its end": webp[:-30],
        "animated WebP": encode(picture, "WEBP", save_all=True, append_images=[picture.rotate(180)]),
        "WebP of 16383 x 16383": webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:],
        "GIF header alone": gif[:13],
        "GIF without its end": gif[: len(gif) // 2],
        "GIF with a frame of 65535 x 65535": gif[: frame_in_gif + 5] + b"\xff" * 4 + gif[frame_in_gif + 9 :],
    }


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
model: {{backbone: resnet10v2, width: 0.0625, stem: small, weights: null}}
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
def finished(tmp_path_factory, config_text, sjft) -> tuple[pathlib.Path, pathlib.Path, click.testing.Result]:
    """A finished run, not to be changed: its config, its folder, and what it printed."""
    root = tmp_path_factory.mktemp("finished")
    (root / "config.yaml").write_text(config_text)
    result = sjft("run", root / "config.yaml", "--out", root / "run")
    assert result.exit_code == 0, result.output
    return root / "config.yaml", root / "run", result


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
