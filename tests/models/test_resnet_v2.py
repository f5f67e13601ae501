"""ResNet V2 against keras.applications, the specification's counts, and the block's formula in bare TensorFlow ops."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models.resnet_v2 import BLOCKS, resnet_v2


def features(depth, *, image_size=32, **choices):
    image = keras.Input((image_size, image_size, 3))
    return keras.Model(image, resnet_v2(image, depth, **choices))


narrow = functools.cache(functools.partial(features, width=1 / 64))  # for questions about the structure


def randomize(model, rng):
    """Weights around 1 for variances and gains, so that no normalization is the identity."""
    for variable in model.weights:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name != "kernel":
            variable.assign(rng.normal(0, 0.3, variable.shape))


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_resnet50_is_that_of_keras_applications(rng):
    theirs = keras.applications.ResNet50V2(include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3))
    ours = features(50, image_size=64)
    randomize(theirs, rng)
    for layer in theirs.layers:
        if layer.weights:
            ours.get_layer(layer.name).set_weights(layer.get_weights())
    images = rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    expected = theirs(images).numpy()
    np.testing.assert_allclose(ours(images).numpy(), expected, atol=1e-5 * np.abs(expected).max())
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]  # so get_weights() fits set_weights()


def test_normalization_settings_are_those_of_keras_applications():
    ours = [layer for layer in narrow(50).layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in ours} == {(0.99, 1.001e-5)}


@pytest.mark.parametrize("depth", BLOCKS)
def test_depth_counts_the_convolutions_of_the_main_path_and_one_dense_layer(depth):
    main_path = [layer for layer in convolutions(narrow(depth)) if not layer.name.endswith("_0_conv")]
    assert len(main_path) + 1 == depth


def test_resnet152_has_the_counts_of_the_specification():
    model = narrow(152)
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    biased = [layer for layer in convolutions(model) if layer.use_bias]
    assert (len(convolutions(model)), len(normalizations), len(biased), len(model.weights)) == (155, 151, 55, 814)


@pytest.mark.parametrize("depth", [18, 50])
def test_width_scales_the_kernels_of_every_layer(depth):
    narrower, wider = convolutions(narrow(depth)), convolutions(features(depth, width=1 / 32))
    assert [2 * layer.filters for layer in narrower] == [layer.filters for layer in wider]


def test_a_basic_block_computes_identity_mapping_with_a_projected_shortcut(rng):
    model = features(18, width=1 / 16)
    randomize(model, rng)
    block = keras.Model(model.get_layer("conv3_block1_preact_bn").input, model.get_layer("conv3_block1_out").output)
    x = rng.normal(size=(2, *block.input_shape[1:])).astype(np.float32)

    def bn_relu(values, name):
        gamma, beta, mean, variance = model.get_layer(f"conv3_block1_{name}_bn").get_weights()
        return tf.nn.relu(tf.nn.batch_normalization(values, mean, variance, beta, gamma, 1.001e-5))

    def conv(values, name, strides, padding):
        (kernel,) = model.get_layer(f"conv3_block1_{name}_conv").get_weights()
        return tf.nn.conv2d(values, kernel, strides, [[0, 0], [padding] * 2, [padding] * 2, [0, 0]])

    activated = bn_relu(x, "preact")
    residual = conv(bn_relu(conv(activated, "1", 2, 1), "1"), "2", 1, 1)
    np.testing.assert_allclose(block(x), residual + conv(activated, "0", 2, 0), rtol=1e-4, atol=1e-5)


def test_basic_blocks_project_only_where_the_shape_changes():
    projections = [layer.name for layer in convolutions(narrow(34)) if layer.name.endswith("_0_conv")]
    assert projections == ["conv3_block1_0_conv", "conv4_block1_0_conv", "conv5_block1_0_conv"]


def test_small_stem_runs_the_first_stage_at_half_the_images_size():
    small, imagenet = (features(18, image_size=64, width=1 / 32, stem=stem) for stem in ("small", "imagenet"))
    assert small.get_layer("conv2_block1_out").output.shape[1] == 32
    assert imagenet.get_layer("conv2_block1_out").output.shape[1] == 16


def test_kernels_start_he_normal():
    keras.utils.set_random_seed(0)
    for layer in convolutions(features(18, width=0.5)):
        kernel = layer.get_weights()[0]
        if kernel.size > 20_000:  # so that the sample deviation is within 3 % of the true one
            np.testing.assert_allclose(kernel.std(), np.sqrt(2 / np.prod(kernel.shape[:3])), rtol=0.03)


@pytest.mark.parametrize("choices", [{"depth": 20}, {"stem": "large"}, {"width": 0}, {"width": float("nan")}])
def test_impossible_choices_are_named(choices):
    with pytest.raises(InputError, match=str(next(iter(choices.values())))):
        features(**{"depth": 18, **choices})
