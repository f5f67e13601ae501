"""One small joint model, exported once, and a batch of encoded images of several sizes and formats."""

import io
import json
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import PIL.Image
import pytest

from sjft_tf.serving import export_classifier

SIDE = 16
FORMATS = {
    "JPEG": (40, 23),
    "PNG": (16, 16),
    "BMP": (9, 31),
    "GIF": (57, 20),
    "WEBP": (21, 34),
}  # and a size, height by width


def _joint_model(target_classes: int = 3) -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3), name="image")
    features = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    features = keras.layers.Conv2D(4, 3, strides=2, activation="relu", kernel_initializer="random_normal")(features)
    features = keras.layers.BatchNormalization(moving_variance_initializer=keras.initializers.Constant(1e-3))(features)
    features = keras.layers.Flatten()(features)
    heads = {"target": target_classes, "source": 5}
    return keras.Model(image, {name: keras.layers.Dense(n, name=name)(features) for name, n in heads.items()})


def _encode(pixels: np.ndarray, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels.astype(np.uint8)).save(file, format)
    return file.getvalue()


@pytest.fixture(scope="session")
def joint_model() -> Callable[..., keras.Model]:
    """Makes a small joint model whose probabilities differ widely between images of 16 x 16."""
    return _joint_model


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Makes the bytes of an image file from its pixels."""
    return _encode


@pytest.fixture(scope="session")
def class_names() -> list[str]:
    """The target classes."""
    return ["tabby cat", "Kätzchen|*", "dog"]


@pytest.fixture(scope="session")
def model() -> keras.Model:
    """The joint model that `exported` holds."""
    keras.utils.set_random_seed(0)
    return _joint_model()


@pytest.fixture(scope="session")
def exported(model: keras.Model, class_names: list[str], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of an export."""
    path = tmp_path_factory.mktemp("run") / "export"
    export_classifier(model, path, class_names=class_names)
    return path


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """One encoded image a format, each of another size."""
    rng = np.random.default_rng(0)
    return [_encode(rng.integers(0, 256, (*size, 3)), format) for format, size in FORMATS.items()]


@pytest.fixture
def run_alone(forked, tmp_path: pathlib.Path) -> Callable[..., dict]:
    """Runs a script in a process of its own, away from this package; the script prints one JSON object."""

    def run(script: str, *arguments: str | os.PathLike) -> dict:
        finished = forked(script, *arguments, folder=tmp_path)
        assert finished.wait() == 0, finished.errors
        return json.loads(finished.output)

    return run
