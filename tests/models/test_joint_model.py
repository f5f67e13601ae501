"""The joint model: heads over shared features, float32 logits, and classifiers that plain Keras loads."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.models import classifier, joint_model, load_weights
from sjft_tf.models.backbones import scaled

TINY = {"width": 1 / 16, "image_size": 32, "stem": "small"}


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return joint_model("resnet18v2", target_classes=3, source_classes=5, **TINY)


def test_both_heads_are_affine_in_the_same_features(model, images):
    features = keras.Model(model.input, model.get_layer("avg_pool").output)(images).numpy()
    logits = model(images)
    assert set(logits) == {"target", "source"}
    for name, values in logits.items():
        kernel, bias = model.get_layer(name).get_weights()
        np.testing.assert_allclose(values, features @ kernel + bias, rtol=1e-4, atol=1e-6)


def test_heads_start_normal_with_the_deviation_of_the_specification():
    keras.utils.set_random_seed(0)
    model = joint_model("resnet18v2", target_classes=600, source_classes=400, **TINY)
    kernels = {name: model.get_layer(name).get_weights()[0] for name in ("target", "source")}
    for kernel in kernels.values():
        assert abs(kernel.std() / 0.01 - 1) < 0.03 and abs(kernel.mean()) < 3e-4  # 3 standard errors of 12,800 values
    assert not model.get_layer("target").get_weights()[1].any()
    assert not np.array_equal(kernels["target"][:, :400], kernels["source"])


def test_without_source_classes_there_is_only_the_target_head():
    model = joint_model("resnet18v2", target_classes=3, source_classes=None, **TINY)
    assert set(model.output) == {"target"}
    assert "source" not in [layer.name for layer in model.layers]


def test_a_rows_logits_do_not_depend_on_the_other_rows(model, images):
    np.testing.assert_allclose(model(images)["target"][:1], model(images[:1])["target"], rtol=1e-4, atol=1e-6)


def test_mixed_precision_computes_low_and_answers_float32(model, images):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = joint_model("resnet18v2", target_classes=3, source_classes=5, **TINY)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    mixed.set_weights(model.get_weights())
    assert mixed.get_layer("conv2_block1_1_conv").compute_dtype == "bfloat16"
    for name, expected in model(images).items():
        logits = mixed(images)[name]
        assert logits.dtype == "float32"
        np.testing.assert_allclose(logits, expected, atol=0.05 * np.abs(expected).max())  # 8 bits over 18 layers


@pytest.mark.parametrize("head", ["target", "source"])
def test_a_classifier_answers_one_heads_logits_without_the_other_head(model, images, head):
    single = classifier(model, head)
    np.testing.assert_array_equal(single(images), model(images)[head])
    assert [layer.name for layer in single.layers if layer.name in ("target", "source")] == [head]


def test_a_classifier_is_cut_from_any_model_with_named_outputs(images):
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    user_model = keras.Model(image, {"target": keras.layers.Softmax()(pooled), "source": pooled})
    np.testing.assert_array_equal(classifier(user_model)(images), user_model(images)["target"])
    with pytest.raises(InputError, match="has no head 'goal'; it has 'target', 'source'"):
        classifier(user_model, "goal")
    with pytest.raises(InputError, match="a single unnamed output"):
        classifier(keras.Model(image, pooled))


def test_weights_fill_the_trunk_and_leave_the_heads_fresh(model, tmp_path):
    model.get_layer("target").bias.assign([1, 2, 3])
    model.save_weights(tmp_path / "joint.weights.h5")
    filled = joint_model(
        "resnet18v2", target_classes=3, source_classes=5, weights=tmp_path / "joint.weights.h5", **TINY
    )
    for ours, theirs in zip(filled.weights, model.weights, strict=True):
        if "target" not in ours.path and "source" not in ours.path:
            np.testing.assert_array_equal(ours, theirs)
    assert not filled.get_layer("target").get_weights()[1].any()
    assert load_weights(filled, tmp_path / "joint.weights.h5").missing == ()
    np.testing.assert_array_equal(filled.get_layer("target").get_weights()[1], [1, 2, 3])


def test_a_head_needs_a_class():
    with pytest.raises(InputError, match="source_classes is 0"):
        joint_model("resnet18v2", target_classes=3, source_classes=0, **TINY)


PLAIN_KERAS = """
import pathlib, sys
import keras, numpy as np
for path in pathlib.Path(sys.argv[1]).glob("*.keras"):
    model, arrays = keras.saving.load_model(path), np.load(path.with_suffix(".npz"))
    np.testing.assert_allclose(model(arrays["images"]), arrays["logits"], rtol=1e-5, atol=1e-6, err_msg=path.name)
assert not [name for name in sys.modules if name.startswith("sjft_tf")]
"""


def test_saved_classifiers_load_in_plain_keras_and_answer_the_same(images, tmp_path):
    image = keras.Input((32, 32, 3))
    models = {mode: keras.Model(image, scaled(image, mode)) for mode in ("torch", "caffe")}
    for backbone, choices in (("resnet18v2", {"width": 1 / 16, "stem": "small"}), ("mobilenetv2", {"alpha": 0.35})):
        joint = joint_model(backbone, target_classes=3, source_classes=5, image_size=32, **choices)
        models[backbone] = classifier(joint)
    for name, single in models.items():
        single.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", images=images, logits=single(images))
    command = [sys.executable, "-c", PLAIN_KERAS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
