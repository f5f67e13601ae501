"""What the README shows works: its Python blocks run, its YAML is a config, its commands exist."""

import pathlib
import re

import keras
import numpy as np
import pytest

from sjft_tf.cli import main
from sjft_tf.config import parse_experiment

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
# The README speaks of large data and a large model; each of these must stand in it for the test to mean anything.
SMALLER = {
    'ImageFolder("flowers/train")': "ImageFolder(target_folder)",
    'ImageFolder("imagenet/train")': "ImageFolder(source_folder)",
    "depth=sjft.deepest_k(k0=300, rounds=5)": "depth=12, image_size=32",
    "k0=300": "k0=2",
    '"resnet152v2", target_classes=102, source_classes=1000, weights="imagenet"':
        '"resnet10v2", target_classes=3, source_classes=4, image_size=32, width=0.0625',
    "batch_size=20, image_size=224, steps=3200": "batch_size=6, image_size=32, steps=3",
    "epochs=5,": "epochs=2, verbose=0,",
}  # fmt: skip


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def ten_lines(image_folders, tmp_path, monkeypatch):
    """What the first block leaves behind after it ran on small folders."""
    monkeypatch.chdir(tmp_path)
    block = _blocks("python")[0]
    for large, small in SMALLER.items():
        assert block.count(large) == 1, large
        block = block.replace(large, small)
    names = {"target_folder": image_folders["target"], "source_folder": image_folders["source"]}
    exec(block, names)
    return names


def test_ten_lines_train_expand_and_export(ten_lines, tmp_path):
    selection = ten_lines["selection"]
    assert selection.round == 2 and (selection.counts >= 2).all()
    classifier = keras.saving.load_model(tmp_path / "export/model.keras")
    probabilities = classifier.predict(np.zeros((1, 32, 32, 3)), verbose=0)
    assert probabilities.shape == (1, 3) and probabilities.sum() == pytest.approx(1)
    assert (tmp_path / "export/saved_model/1/saved_model.pb").exists() and list((tmp_path / "cache").iterdir())


def test_a_users_own_model_trains_on_our_dataset(image_folders):
    import sjft_tf as sjft

    names = {}
    exec(_blocks("python")[1].replace("102", "3").replace("1000", "4"), names)
    target, source = (sjft.ImageFolder(image_folders[role]) for role in ("target", "source"))
    selection = sjft.Selection(None, mode="all", n_source=len(source))
    names["model"].compile(sjft.caffe_sgd(0.01))
    data = sjft.joint_dataset(target, source, selection, batch_size=6, image_size=64, steps=2)
    callback = sjft.NeighborExpansion(selection, target)
    history = names["model"].fit(data, callbacks=[callback], verbose=0).history
    assert np.isfinite(history["loss"][0]) and selection.round == 1


def test_our_model_trains_on_a_users_dataset():
    import tensorflow as tf

    import sjft_tf as sjft

    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    is_target = np.arange(8) % 3 == 0
    labels = {"target": np.where(is_target, 1, 0), "source": np.where(is_target, 0, 2)}
    weights = {"target": is_target.astype(np.float32), "source": (~is_target).astype(np.float32)}
    model = sjft.joint_model("resnet10v2", target_classes=3, source_classes=4, image_size=32, width=0.0625)
    model.compile(sjft.caffe_sgd(0.01))
    data = tf.data.Dataset.from_tensor_slices((images, labels, weights)).batch(4)
    assert np.isfinite(model.fit(data, verbose=0).history["loss"][0])


def test_the_yaml_is_a_config():
    (block,) = _blocks("yaml")
    experiment = parse_experiment(block)
    assert experiment.source.tfds == "imagenet2012" and experiment.training.steps_per_round == 3200


def test_every_command_named_exists():
    named = set(re.findall(r"sjft-tf ([a-z][a-z-]+)", " ".join(_blocks("sh"))))
    assert named and named <= set(main.commands)
