"""Domains, a neighbor table and a two-headed model, all small."""

import keras
import numpy as np
import pytest

from sjft_tf.domains import ImageFolder
from sjft_tf.retrieval import NeighborTable


@pytest.fixture(scope="session")
def target(image_folders):
    return ImageFolder(image_folders["target"])


@pytest.fixture(scope="session")
def source(image_folders):
    return ImageFolder(image_folders["source"])


@pytest.fixture
def table(target, source):
    rng = np.random.default_rng(5)
    indices = np.stack([rng.permutation(len(source))[:12] for _ in range(len(target))]).astype(np.int32)
    return NeighborTable(indices, np.sort(rng.random((len(target), 12)).astype(np.float32)))


@pytest.fixture
def model():
    """A user's own model: no part of it is ours."""
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    features = keras.layers.Dense(8, activation="relu")(features)
    heads = {"target": keras.layers.Dense(3, name="target"), "source": keras.layers.Dense(4, name="source")}
    return keras.Model(image, {name: head(features) for name, head in heads.items()})
