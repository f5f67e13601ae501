"""Trunks by name: scaling against Keras' own preprocess_input, arguments, and the messages for what cannot be built."""

import urllib.error

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models.backbones import PREPROCESSING, backbone_names, build_trunk, scaled

SCALING_MODULES = ("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3")


@pytest.mark.parametrize("module", [*PREPROCESSING, *SCALING_MODULES])
def test_scaling_is_that_of_the_modules_preprocess_input(module, rng):
    images = rng.uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    image = keras.Input((4, 4, 3))
    ours = keras.Model(image, keras.layers.Identity()(scaled(image, PREPROCESSING.get(module))))
    theirs = getattr(keras.applications, module).preprocess_input(images.copy())
    np.testing.assert_allclose(ours(images), theirs, rtol=1e-5, atol=1e-4)  # float32 about 255


def test_the_authors_layout_takes_bgr_minus_whole_means(rng):
    images = rng.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    trunk = build_trunk("resnet50v2_identity", image_size=32, width=1 / 64)
    scaled_image = keras.Model(trunk.input, trunk.get_layer("conv1_pad").input)(images)
    np.testing.assert_allclose(scaled_image, images[..., ::-1] - np.float32([104, 117, 123]), rtol=1e-6)


def test_every_application_is_scaled_by_us_or_by_itself():
    modules = {
        getattr(keras.applications, name).__module__.rpartition(".")[2]
        for name in dir(keras.applications)
        if name.lower() in backbone_names() and name[0].isupper()
    }
    assert modules == {*PREPROCESSING, *SCALING_MODULES}


def test_scaling_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        image = keras.Input((4, 4, 3), dtype="float32")
        assert {scaled(image, mode).dtype for mode in ("tf", "torch", "caffe")} == {"float32"}
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("backbone", "constructor", "choices"),
    [("mobilenetv2", keras.applications.MobileNetV2, {"alpha": 0.35}), ("vgg16", keras.applications.VGG16, {})],
)
def test_a_trunk_is_the_application_after_its_preprocessing(backbone, constructor, choices, rng):
    trunk = build_trunk(backbone, image_size=32, **choices)
    theirs = constructor(include_top=False, pooling="avg", weights=None, input_shape=(32, 32, 3), **choices)
    theirs.set_weights(trunk.get_weights())
    module = getattr(keras.applications, constructor.__module__.rpartition(".")[2])
    images = rng.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = theirs(module.preprocess_input(images.copy())).numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(trunk(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert trunk.input.name == "image"


@pytest.mark.parametrize(
    ("backbone", "choices", "message"),
    [
        ("resnet18", {}, "resnet18v2"),
        ("MobileNet_V2", {}, "did you mean 'mobilenetv2'"),
        ("zzz", {}, "'zzz' is unknown"),
        ("vgg16", {"alpha": 0.5}, "alpha is 0.5, but vgg16"),
        ("resnet18v2", {"alpha": 0.5}, "use width"),
        ("mobilenetv2", {"width": 0.5}, "width is 0.5, but mobilenetv2"),
        ("mobilenetv2", {"stem": "small"}, "stem is 'small', but mobilenetv2"),
        ("mobilenetv2", {"alpha": 0.4, "imagenet": True}, "alpha"),
        ("resnet18v2", {"image_size": 31}, "image_size is 31"),
        ("inceptionv3", {"image_size": 64}, "75x75"),
        ("resnet34v2", {"imagenet": True}, "no published ImageNet weights for resnet34v2"),
        ("resnet50v2-identity", {}, "did you mean 'resnet50v2_identity'"),
        ("resnet34v2_identity", {}, "did you mean 'resnet"),
        ("resnet152v2_identity", {"imagenet": True}, "no published ImageNet weights for resnet152v2_identity"),
        ("vgg16", {"bn": "thawed"}, "bn is 'thawed'; it must be one of 'mixed', 'frozen', 'per_domain', 'recalibrate'"),
        ("resnet50v2", {"imagenet": True, "width": 0.5}, "no published ImageNet weights for resnet50v2 at width 0.5"),
        ("resnet50v2", {"imagenet": True, "stem": "small"}, "with stem 'small'"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(backbone, choices, message):
    with pytest.raises(InputError, match=message) as raised:
        build_trunk(backbone, **{"image_size": 96, **choices})
    assert "\n" not in str(raised.value)


def test_a_failed_download_is_said_in_one_line(monkeypatch, tmp_path):
    def unreachable(*_):
        raise urllib.error.URLError("no route\nto host")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # no cached weights
    with pytest.raises(InputError, match="the ImageNet weights of mobilenetv2 cannot be had.*no route to host"):
        build_trunk("mobilenetv2", alpha=0.35, image_size=96, imagenet=True)


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from sjft_tf.models.backbones import build_trunk
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def trunk_and_start():
    trunk = build_trunk("resnet18v2", image_size=16, width=1 / 32, stem="small")
    return trunk, keras.Model(trunk.input, trunk.get_layer("conv2_block1_preact_bn").output)

images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
images[4:] *= 0.1  # the halves differ, so their own statistics would too
_, alone = trunk_and_start()
with strategy.scope():
    trunk, mirrored = trunk_and_start()
    mirrored.set_weights(alone.get_weights())
alone(images, training=True)
halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(images[4 * context.replica_id_in_sync_group :][:4])
)
strategy.run(tf.function(lambda half: mirrored(half, training=True)), args=(halves,))
for ours, expected in zip(mirrored.get_weights(), alone.get_weights()):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
assert all(layer.synchronized for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization))
"""


def test_batch_statistics_on_two_replicas_are_those_of_the_whole_batch(forked):
    done = forked(TWO_REPLICAS)
    assert done.wait() == 0, done.errors[-2000:]


def test_every_batch_normalization_has_the_momentum_asked_for():
    trunk = build_trunk("mobilenetv2", image_size=32, alpha=0.35, bn_momentum=0.9)
    found = [layer.momentum for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(found) == 52 and set(found) == {0.9}, "the net's own momentum is 0.999"
