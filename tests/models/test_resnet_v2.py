"""ResNet V2 against keras.applications, the specification's counts, and the block's formula in bare TensorFlow ops."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models.resnet_v2 import BLOCKS, resnet_v2, resnet_v2_identity


def features(depth, *, image_size=32, layout=resnet_v2, **choices):
    image = keras.Input((image_size, image_size, 3))
    return keras.Model(image, layout(image, depth, **choices))


narrow = functools.cache(functools.partial(features, width=1 / 64))  # for questions about the structure
narrow_identity = functools.partial(narrow, layout=resnet_v2_identity)


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


@pytest.mark.parametrize("layout", [resnet_v2, resnet_v2_identity])
@pytest.mark.parametrize("choices", [{"depth": 20}, {"stem": "large"}, {"width": 0}, {"width": float("nan")}])
def test_impossible_choices_are_named(choices, layout):
    with pytest.raises(InputError, match=str(next(iter(choices.values())))):
        features(**{"depth": 50, **choices}, layout=layout)


def test_the_authors_layout_has_bottleneck_blocks_only():
    with pytest.raises(InputError, match="depth 18 does not exist; choose one of 50, 101, 152"):
        features(18, layout=resnet_v2_identity)


def test_the_authors_resnet152_has_the_counts_of_the_specification():
    model = narrow_identity(152)
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert (len(convolutions(model)), len(normalizations)) == (155, 151)
    assert not any(layer.use_bias for layer in convolutions(model))
    assert {layer.epsilon for layer in normalizations} == {1e-5}


def test_both_layouts_have_the_same_kernels():
    kernels = [
        sorted((layer.name, layer.kernel.shape) for layer in convolutions(model))
        for model in (narrow(50), narrow_identity(50, image_size=224))
    ]
    assert kernels[0] == kernels[1]


def test_the_authors_layout_strides_in_the_first_convolution_and_the_projection_of_a_stage():
    model = narrow_identity(50, image_size=224)
    strided = {layer.name for layer in convolutions(model) if layer.strides == (2, 2)}
    blocks = {f"conv{stage}_block1_{conv}_conv" for stage in (3, 4, 5) for conv in (0, 1)}
    assert strided == {"conv1_conv"} | blocks


def test_the_authors_stages_have_the_sizes_of_the_specification_at_224():
    model = narrow_identity(50, image_size=224)
    sizes = [model.get_layer(f"conv{stage}_block1_out").output.shape[1] for stage in (2, 3, 4, 5)]
    assert (model.get_layer("pool1_pool").output.shape[1], sizes) == (56, [56, 28, 14, 7])


def caffe_max_pool(x):
    """Windows of 3 by 3 every 2 pixels, as many as it takes to cover all, cut off at the border."""
    count = int(np.ceil((x.shape[1] - 3) / 2)) + 1
    windows = [x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for i in range(count) for j in range(count)]
    return np.stack(windows, axis=1).reshape(len(x), count, count, x.shape[3])


def test_the_authors_resnet50_computes_the_table_of_the_specification_at_any_size(rng):
    model = features(50, layout=resnet_v2_identity, width=1 / 32, image_size=None)
    randomize(model, rng)
    stem = keras.Model(model.input, model.get_layer("pool1_pool").output)

    def conv(x, name, strides=1, padding=0):
        (kernel,) = model.get_layer(f"{name}_conv").get_weights()
        return tf.nn.conv2d(x, kernel, strides, [[0, 0], [padding] * 2, [padding] * 2, [0, 0]])

    def bn_relu(x, name):
        gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)

    def unit(total, activated, name, strides, project):
        shortcut = conv(activated, f"{name}_0", strides) if project else total
        reduced = bn_relu(conv(activated, f"{name}_1", strides), f"{name}_1")
        return shortcut + conv(bn_relu(conv(reduced, f"{name}_2", 1, 1), f"{name}_2"), f"{name}_3")

    for image_size in (39, 41):  # 20 and 21 pixels wide before the pool
        images = rng.uniform(-1, 1, (2, image_size, image_size, 3)).astype(np.float32)
        total = activated = caffe_max_pool(bn_relu(conv(images, "conv1", 2, 3), "conv1"))
        np.testing.assert_allclose(stem(images), activated, rtol=1e-3, atol=1e-4)
        for stage, units in ((2, 3), (3, 4), (4, 6), (5, 3)):
            for number in range(1, units + 1):
                name, strides = f"conv{stage}_block{number}", 2 if number == 1 and stage > 2 else 1
                total = unit(total, activated, name, strides, project=number == 1)
                activated = bn_relu(total, f"{name}_post")
        expected = activated.mean((1, 2))
        np.testing.assert_allclose(model(images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_authors_small_stem_does_not_pool():
    model = narrow_identity(50, image_size=64, stem="small")
    assert model.get_layer("conv1_conv").kernel_size == (3, 3)
    assert model.get_layer("conv2_block1_out").output.shape[1] == 32
