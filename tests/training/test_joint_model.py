"""The joint model: heads over shared features, float32 logits, and classifiers that plain Keras loads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models import PerDomainBatchNormalization, classifier, load_weights
from sjft_tf.models.backbones import scaled
from sjft_tf.training import caffe_sgd, joint_model

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


def with_bn(bn, *, source_classes=5):
    keras.utils.set_random_seed(0)
    return joint_model("resnet18v2", target_classes=3, source_classes=source_classes, bn=bn, **TINY)


def normalizations(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def randomized(model, rng):
    for variable in model.weights:
        variable.assign(rng.uniform(0.01, 0.1, variable.shape))
    return model


def test_source_rows_move_target_rows_in_training_where_statistics_are_mixed_only(images):
    rows = np.concatenate([images, images])[:4]
    other_source = np.where(np.arange(4)[:, None, None, None] % 2, rows / 9, rows)
    for bn, mixes in (("mixed", True), ("recalibrate", True), ("per_domain", False), ("frozen", False)):
        model = with_bn(bn)
        one, other = (model(r, training=True)["target"][::2] for r in (rows, other_source))
        assert np.array_equal(one, other) is not mixes, bn


def test_by_domain_starts_and_infers_as_mixed_and_has_its_weight_files(model, images, rng, tmp_path):
    ours = with_bn("per_domain")
    assert {type(layer) for layer in normalizations(ours)} == {PerDomainBatchNormalization}
    for variable, expected in zip(ours.weights, model.weights, strict=True):
        assert variable.path == expected.path
        np.testing.assert_array_equal(variable, expected)
    randomized(ours, rng).save_weights(tmp_path / "ours.weights.h5")
    report = load_weights(model, tmp_path / "ours.weights.h5")
    assert (report.missing, report.unused) == ((), ())
    for name, logits in ours(images).items():
        np.testing.assert_array_equal(logits, model(images)[name])


def test_by_domain_without_a_source_is_mixed():
    layers = normalizations(with_bn("per_domain", source_classes=None))
    assert {type(layer) for layer in layers} == {keras.layers.BatchNormalization}


def test_frozen_batch_normalizations_keep_all_four_variables_and_the_rest_learns(images):
    model = with_bn("frozen")
    frozen = [variable for layer in normalizations(model) for variable in layer.weights]
    others = [variable for variable in model.weights if not any(variable is kept for kept in frozen)]
    before = [[variable.numpy() for variable in variables] for variables in (frozen, others)]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.train_on_batch(tf.constant(images[:2]), {name: tf.zeros(2) for name in model.output})
    for variable, value in zip(frozen, before[0], strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    assert not any(np.array_equal(variable, value) for variable, value in zip(others, before[1], strict=True))
    np.testing.assert_array_equal(model(images, training=True)["target"], model(images)["target"])


def test_a_classifier_of_a_model_by_domain_is_a_plain_copy_with_equal_answers(images, rng):
    model = randomized(with_bn("per_domain"), rng)
    single, expected = classifier(model), model(images)["target"]
    assert {type(layer) for layer in normalizations(single)} == {keras.layers.BatchNormalization}
    np.testing.assert_array_equal(single(images), expected)
    randomized(model, rng)
    np.testing.assert_array_equal(single(images), expected)


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


def test_saved_classifiers_load_in_plain_keras_and_answer_the_same(forked, images, tmp_path):
    image = keras.Input((32, 32, 3))
    models = {mode: keras.Model(image, scaled(image, mode)) for mode in ("torch", "caffe")}
    for backbone, choices in (("resnet18v2", {"width": 1 / 16, "stem": "small"}), ("mobilenetv2", {"alpha": 0.35})):
        joint = joint_model(backbone, target_classes=3, source_classes=5, image_size=32, **choices)
        models[backbone] = classifier(joint)
    models["by domain"] = classifier(with_bn("per_domain"))
    for name, single in models.items():
        single.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", images=images, logits=single(images))
    done = forked(PLAIN_KERAS, tmp_path)
    assert done.wait() == 0, done.errors[-2000:]


def test_a_trunk_of_ones_own_with_features_or_a_map_keeps_its_layers_and_weights(images):
    image = keras.Input((32, 32, 3))
    feature_map = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255)(image))
    for output in (feature_map, keras.layers.GlobalMaxPooling2D()(feature_map)):
        trunk = keras.Model(image, output, name="mine")
        joint = joint_model(trunk, target_classes=3, source_classes=5)
        assert joint.get_layer("conv") is trunk.get_layer("conv") and joint.name == "mine_joint"
        features = trunk(images).numpy()
        features = features.mean((1, 2)) if features.ndim == 4 else features
        for name, logits in joint(images).items():
            kernel, bias = joint.get_layer(name).get_weights()
            np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bn", ["mixed", "frozen", "per_domain"])
def test_a_trunk_of_ones_own_is_normalized_as_asked(bn, rng):
    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(momentum=0.7, name="bn")(image)
    trunk = keras.Model(image, keras.layers.BatchNormalization(momentum=0.8, name="last")(x))
    joint = joint_model(trunk, target_classes=3, source_classes=5, bn=bn, iter_size=2)
    first, last = normalizations(joint)
    assert (first.momentum, last.momentum) == (0.7, 0.8) and first.trainable == (bn != "frozen")
    assert isinstance(first, PerDomainBatchNormalization) == (bn == "per_domain")
    joint.compile("sgd")
    rows = rng.uniform(0, 255, (8, 8, 8, 3)).astype(np.float32)
    zeros, ones = ({name: fill(8) for name in joint.output} for fill in (np.zeros, np.ones))
    joint.fit(rows, zeros, sample_weight=ones, batch_size=8, shuffle=False, verbose=0)
    pairs = rows.reshape(2, 2, 2, 8, 8, 3)  # a pair for each batch, in turn
    of_batch = pairs.mean((0, 2, 3, 4)) if bn == "mixed" else pairs[:, :, 0].mean((0, 2, 3))
    expected = 0.0 if bn == "frozen" else 0.7 * 0.3 * of_batch[0] + 0.3 * of_batch[1]
    np.testing.assert_allclose(first.moving_mean, np.broadcast_to(expected, 3), rtol=1e-4)


def test_what_is_no_trunk_is_named():
    image = keras.Input((8, 8, 3))
    cases = {
        "it must take images": keras.Model(flat := keras.Input((4,)), keras.layers.Dense(2)(flat)),
        "has 2 outputs": keras.Model(image, [image, image + 1]),
        r"the trunk's output is \[None, 8, 3\]": keras.Model(image, image[:, 0]),
        "the trunk is a Dense; it must be a functional keras.Model": keras.layers.Dense(3),
    }
    for message, trunk in cases.items():
        with pytest.raises(InputError, match=message):
            joint_model(trunk, target_classes=3, source_classes=5)


def test_a_backbone_of_keras_hub_is_a_trunk(images):
    # Its requirement tensorflow-text brings TensorFlow's large build along, so no extra has it; without deps it suffices.
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block", image_shape=(32, 32, 3),
        use_pre_activation=True,
    )  # fmt: skip
    for bn in ("mixed", "per_domain"):
        joint = joint_model(backbone, target_classes=3, source_classes=5, bn=bn, iter_size=2)
        joint.compile("sgd")
        rows = np.concatenate([images, images])[:4]
        zeros, ones = ({name: fill(4) for name in joint.output} for fill in (np.zeros, np.ones))
        history = joint.fit(rows, zeros, sample_weight=ones, batch_size=4, verbose=0).history
        assert np.isfinite(history["loss"][0]) and len(normalizations(joint)) > 3
        assert classifier(joint)(images).shape == (3, 3)


RELOADED = """
import sys, keras, numpy as np
import sjft_tf.training
model, arrays = keras.saving.load_model(sys.argv[1] + "/joint.keras"), np.load(sys.argv[1] + "/arrays.npz")
for name, logits in model(arrays["images"]).items():
    np.testing.assert_allclose(logits, arrays[name], rtol=1e-5, atol=1e-6)
assert type(model).__name__ == "JointModel" and model.iter_size == 2 and model.compiled
assert [(term.name, term.rows, term.weight) for term in model.terms] == [("target",) * 2 + (1,), ("source",) * 2 + (3,)]
assert int(model.optimizer.iterations) == 1 and model.optimizer.trunk_learning_rate == 0.1
labels, ones = ({name: fill(4) for name in model.output} for fill in (np.zeros, np.ones))
history = model.fit(arrays["images"], labels, sample_weight=ones, batch_size=4, shuffle=False, verbose=0).history
assert abs(history["loss"][0] - float(arrays["loss"])) < 1e-5, (history, float(arrays["loss"]))
assert {"target_mean_loss", "source_accuracy"} < set(history)
"""


@pytest.mark.parametrize("bn", ["mixed", "per_domain"])
def test_a_saved_joint_model_is_trained_on_in_another_process(bn, forked, images, tmp_path):
    keras.utils.set_random_seed(0)
    model = joint_model("resnet10v2", target_classes=3, source_classes=5, source_weight=3, bn=bn, iter_size=2, **TINY)
    model.compile(caffe_sgd(0.01, trunk_learning_rate=0.1))
    rows = np.concatenate([images, images])[:4]
    labels, ones = ({name: fill(4) for name in model.output} for fill in (np.zeros, np.ones))

    def fit():
        history = model.fit(rows, labels, sample_weight=ones, batch_size=4, shuffle=False, verbose=0).history
        return history["loss"][0]

    fit()
    model.save(tmp_path / "joint.keras")
    logits = {name: np.array(values) for name, values in model(rows).items()}
    np.savez(tmp_path / "arrays.npz", images=rows, loss=fit(), **logits)
    done = forked(RELOADED, tmp_path)
    assert done.wait() == 0, done.errors[-2000:]
