"""The bank's groups, weights and taps against the network itself, and the filters that the package holds."""

import importlib.resources
import pathlib
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors import AlexNetBank, HistogramDescriber, fit_bin_edges
from sjft_tf.descriptors.alexnet import alexnet_responses
from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import KERNEL_SHAPES, AlexNetWeights, save_alexnet_weights

SIZE = 64
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "train_alexnet_bank.py"


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    shapes = KERNEL_SHAPES["caffe"]
    kernels = {n: (rng.standard_normal(s) / np.sqrt(np.prod(s[:3]))).astype(np.float32) for n, s in shapes.items()}
    return AlexNetWeights(
        "caffe", kernels, {n: rng.standard_normal(s[-1]).astype(np.float32) for n, s in shapes.items()}
    )


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alexnet.npz"
    save_alexnet_weights(path, weights)
    return path


@pytest.fixture
def images(rng):
    return tf.constant(rng.uniform(0, 255, (2, SIZE, SIZE, 3)), tf.float32)


@pytest.mark.parametrize("tap", ["pre_relu", "post_relu"])
@pytest.mark.parametrize(
    ("layers", "numbers"),
    [("conv1", [1]), ("conv1-conv2", [1, 2]), ("conv4-conv5", [4, 5]), ("conv1-conv5", [1, 2, 3, 4, 5])],
)
def test_each_layer_is_a_group_of_the_networks_responses(weights, path, images, layers, numbers, tap):
    bank = AlexNetBank(path, layers=layers, tap=tap)
    outputs = alexnet_responses(images, weights)
    groups = bank.responses(images)
    assert len(groups) == len(numbers)
    for group, number in zip(groups, numbers, strict=True):
        expected = outputs[f"{'conv' if tap == 'pre_relu' else 'relu'}{number}"]
        np.testing.assert_array_equal(group, np.moveaxis(expected.numpy(), -1, 1))
    sizes = [group.shape[1] for group in groups]
    np.testing.assert_array_equal(bank.channel_weights, np.concatenate([np.full(n, 1 / n) for n in sizes]))
    assert len(set(bank.channel_names)) == sum(sizes)


def test_the_default_is_before_relu_of_conv1_and_conv2(path, images):
    first, second = AlexNetBank(path).responses(images)
    assert (first.shape[1], second.shape[1]) == (96, 256)
    assert min(first.numpy().min(), second.numpy().min()) < 0


def test_a_constant_added_to_the_image_changes_no_conv1_descriptor(drawn_images, path):
    images = np.random.default_rng(2).integers(0, 200, (4, SIZE + 9, SIZE + 9, 3), np.uint8)
    counts = []
    for shift in (0, 40):
        bank, domain = AlexNetBank(path, layers="conv1"), drawn_images(images + np.uint8(shift))
        edges = fit_bin_edges(domain, bank, image_size=SIZE, bins=5)
        counts.append(HistogramDescriber(bank, edges, image_size=SIZE).describe(domain).astype(int))
    moved = np.abs(counts[0] - counts[1]).sum() / 2
    assert moved <= 1e-3 * counts[0].sum()  # responses within rounding of an edge


def test_the_filters_of_the_package_are_small_and_of_alexnets_form(images):
    resource = importlib.resources.files("sjft_tf.descriptors") / "alexnet-tiny-imagenet.npz"
    assert len(resource.read_bytes()) < 1_500_000
    with resource.open("rb") as file, np.load(file) as arrays:
        assert arrays["conv1/kernel"].dtype == arrays["conv2/kernel"].dtype == np.float16
        assert {name: arrays[f"{name}/kernel"].shape for name in ("conv1", "conv2")} == {
            "conv1": (11, 11, 3, 96), "conv2": (5, 5, 48, 256),
        }  # fmt: skip
        stored = AlexNetWeights(
            str(arrays["layout"]),
            {name: arrays[f"{name}/kernel"].astype(np.float32) for name in ("conv1", "conv2")},
            {name: arrays[f"{name}/bias"].astype(np.float32) for name in ("conv1", "conv2")},
        )
    responses = AlexNetBank().responses(images)
    outputs = alexnet_responses(images, stored, last="conv2")
    for group, name in zip(responses, ("conv1", "conv2"), strict=True):
        np.testing.assert_array_equal(group, np.moveaxis(outputs[name].numpy(), -1, 1))
    assert all(np.isfinite(group).all() and (group.numpy().std((0, 2, 3)) > 0).all() for group in responses)
    with pytest.raises(
        InputError, match="^alexnet-tiny-imagenet holds conv1, conv2; layers 'conv1-conv5' need conv3, "
    ):
        AlexNetBank(layers="conv1-conv5")


def test_the_training_script_folds_what_it_trained_into_kernels_and_biases(rng):
    script = runpy.run_path(str(SCRIPT))
    trained = script["network"](classes=2)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    colors = rng.uniform(-100, 100, (2, script["CROP"], script["CROP"], 3)).astype(np.float32)  # blue first, centered
    normalized = keras.Model(trained.input, [trained.get_layer(name).output for name in ("bn1", "bn2")])(colors)
    images = (colors + np.float32([104.0, 116.7, 122.7]))[..., ::-1]
    outputs = alexnet_responses(tf.constant(images), script["folded"](trained), last="conv2")
    for expected, name in zip(normalized, ("conv1", "conv2"), strict=True):
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("layers", ["conv6", "conv2-conv1", "conv1,conv2", "", "conv1-"])
def test_layers_that_are_no_range_are_refused(layers):
    with pytest.raises(InputError, match="^layers is "):
        AlexNetBank(layers=layers)


def test_an_unknown_tap_is_refused():
    with pytest.raises(InputError, match="^tap is 'relu'; it must be one of pre_relu, post_relu$"):
        AlexNetBank(tap="relu")


def test_the_config_follows_what_matters(path, weights, tmp_path):
    other = AlexNetWeights(weights.layout, {**weights.kernels}, {**weights.biases})
    other.biases["conv3"] = other.biases["conv3"] + 1
    save_alexnet_weights(tmp_path / "b.npz", other)
    assert AlexNetBank(tmp_path / "b.npz").config() == AlexNetBank(path).config()
    configs = [
        AlexNetBank(path).config(),
        AlexNetBank().config(),
        AlexNetBank(path, tap="post_relu").config(),
        AlexNetBank(path, layers="conv1").config(),
        AlexNetBank(path, layers="conv2").config(),
        AlexNetBank(path, layers="conv1-conv3").config(),
        AlexNetBank(tmp_path / "b.npz", layers="conv1-conv3").config(),
    ]
    assert len({str(config) for config in configs}) == len(configs)
