"""Batch normalization by domain against two plain passes, and population statistics against NumPy's over all images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.models import PerDomainBatchNormalization, recalibrate_batch_normalization
from sjft_tf.models.normalization import as_plain_keras, batch_normalizations, set_batch_normalization


def built(kind, shape, rng, **choices):
    layer = kind(epsilon=0.01, momentum=0.9, name="norm", **choices)
    layer.build((None, *shape[1:]))
    layer.set_weights([rng.uniform(0.5, 1.5, variable.shape) for variable in layer.weights])
    return layer


@pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((8, 4, 5, 3), -1), ((8, 3, 4, 5), 1)])
def test_rows_of_a_domain_are_normalized_by_its_own_moments_and_the_targets_are_kept(shape, axis, rng):
    layer = built(PerDomainBatchNormalization, shape, rng, axis=axis)
    gamma, beta, old_mean, old_variance = layer.get_weights()
    x = rng.normal(3, 2, shape).astype(np.float32)
    x[1::2] = 5 * x[1::2] - 20  # the source is elsewhere
    y = np.moveaxis(np.asarray(layer(x, training=True)), axis, -1)
    x = np.moveaxis(x, axis, -1)
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        mean, variance = x[rows].reshape(-1, 3).mean(0), x[rows].reshape(-1, 3).var(0)
        expected = gamma * (x[rows] - mean) / np.sqrt(variance + 0.01) + beta
        np.testing.assert_allclose(y[rows], expected, rtol=1e-4, atol=1e-5)
    target = x[::2].reshape(-1, 3)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * old_mean + 0.1 * target.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * old_variance + 0.1 * target.var(0), rtol=1e-5)


def test_gradients_are_those_of_a_plain_pass_over_each_domain(rng):
    shape = (6, 4, 4, 3)
    ours = built(PerDomainBatchNormalization, shape, rng)
    plain = keras.layers.BatchNormalization(epsilon=0.01)
    plain.build((None, *shape[1:]))
    plain.set_weights(ours.get_weights())
    x, upstream = (tf.constant(rng.normal(1, 2, shape), tf.float32) for _ in range(2))

    def gradients(function, layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(function(x) * upstream)
        return tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    def two_passes(x):
        halves = [plain(x[start::2], training=True) for start in (0, 1)]
        return tf.reshape(tf.stack(halves, axis=1), shape)

    found = gradients(lambda x: ours(x, training=True), ours)
    for gradient, expected in zip(found, gradients(two_passes, plain), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_inference_and_a_frozen_layer_are_a_plain_batch_normalization(rng):
    x = rng.normal(1, 2, (5, 4, 4, 3)).astype(np.float32)
    ours = built(PerDomainBatchNormalization, x.shape, rng)
    plain = built(keras.layers.BatchNormalization, x.shape, rng)
    plain.set_weights(ours.get_weights())
    assert [variable.name for variable in ours.weights] == [variable.name for variable in plain.weights]
    np.testing.assert_array_equal(ours(x), plain(x))
    ours.trainable = False
    np.testing.assert_array_equal(ours(x, training=True), plain(x))
    np.testing.assert_array_equal(ours.moving_mean, plain.moving_mean)


def test_under_mixed_precision_moments_are_float32(rng):
    layer = built(PerDomainBatchNormalization, (64, 8, 8, 3), rng, dtype="mixed_bfloat16")
    layer.momentum = 0.0
    x = tf.cast(rng.normal(100, 1, (64, 8, 8, 3)), tf.bfloat16)
    assert layer(x, training=True).dtype == tf.bfloat16
    target = tf.cast(x[::2], tf.float64).numpy().reshape(-1, 3)
    np.testing.assert_allclose(layer.moving_mean, target.mean(0), rtol=1e-6)  # bfloat16 would be off by 1e-3
    np.testing.assert_allclose(layer.moving_variance, target.var(0), rtol=1e-4)


def test_an_unpaired_row_is_an_error(rng):
    with pytest.raises(tf.errors.InvalidArgumentError):
        built(PerDomainBatchNormalization, (3, 2), rng)(np.zeros((3, 2), np.float32), training=True)


@pytest.fixture
def net(rng):
    """Everything that a copy could lose: state outside of weights, an operation, settings, two outputs' worth of graph."""
    image = keras.Input((8, 8, 3), dtype="float32", name="image")
    x = keras.layers.Normalization(dtype="float32", name="standardize")(keras.ops.flip(image, axis=-1))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.BatchNormalization(momentum=0.8, epsilon=0.02, name="bn")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(x))
    net = keras.Model(image, {"target": keras.layers.Dense(2, name="target")(x)}, name="net")
    net.set_weights([rng.uniform(0.5, 1.5, variable.shape) for variable in net.weights])
    net.get_layer("standardize").finalize_state()
    return net


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (20, 8, 8, 3)).astype(np.float32)


def test_a_model_by_domain_and_its_plain_copy_answer_the_same_to_the_bit(net, images):
    expected, weights = net(images)["target"], net.weights
    assert as_plain_keras(net) is net
    by_domain = set_batch_normalization(net, "per_domain", None)
    assert type(by_domain.get_layer("bn")) is PerDomainBatchNormalization
    np.testing.assert_array_equal(by_domain(images)["target"], expected)
    plain = as_plain_keras(by_domain)
    assert type(plain.get_layer("bn")) is keras.layers.BatchNormalization and plain.get_layer("bn").momentum == 0.8
    np.testing.assert_array_equal(plain(images)["target"], expected)
    assert [variable.path for variable in plain.weights] == [variable.path for variable in weights]
    by_domain.get_layer("conv").bias.assign([9, 9, 9, 9])
    assert plain.get_layer("conv").bias[0] != 9 and net.get_layer("conv").bias[0] != 9


def test_models_inside_are_reached(rng):
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, keras.layers.BatchNormalization(name="inside")(inner_image))
    image = keras.Input((8, 8, 3))
    outer = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.BatchNormalization(name="last")])
    net = keras.Model(image, outer(inner(image)))
    net.set_weights([rng.uniform(0.5, 1.5, variable.shape) for variable in net.weights])
    images = rng.uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
    expected = net(images)
    by_domain = set_batch_normalization(net, "per_domain", 0.5)
    assert [type(layer) for layer in batch_normalizations(by_domain)] == [PerDomainBatchNormalization] * 2
    assert {layer.momentum for layer in batch_normalizations(by_domain)} == {0.5}
    np.testing.assert_array_equal(by_domain(images), expected)
    recalibrate_batch_normalization(by_domain, [images])
    first, last = batch_normalizations(by_domain)
    np.testing.assert_allclose(first.moving_mean, images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(last.moving_mean, first.beta, rtol=1e-4)


@pytest.mark.parametrize("per_domain", [False, True])
def test_recalibrated_averages_are_the_moments_of_all_images_whatever_the_batches(per_domain, net, images):
    if per_domain:
        net = set_batch_normalization(net, "per_domain", None)
    net.get_layer("bn").synchronized = True
    images[15:] *= 0.1  # so that batches differ
    activations = keras.Model(net.input, net.get_layer("conv").output)(images).numpy().reshape(-1, 4).astype(np.float64)
    recalibrate_batch_normalization(net, tf.data.Dataset.from_tensor_slices(images).batch(7))  # the last has 6
    layer = net.get_layer("bn")
    np.testing.assert_allclose(layer.moving_mean, activations.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, activations.var(0), rtol=1e-4)
    assert layer.momentum == 0.8 and layer.synchronized


def test_recalibration_changes_nothing_else(net, images, tmp_path):
    kept = [variable for variable in net.variables if not variable.name.startswith("moving_")]
    before = [variable.numpy() for variable in kept]
    assert len(kept) == 10, "of the net and the state of its dropout"
    data = tf.data.Dataset.from_tensor_slices(images)
    for _ in range(2):
        recalibrate_batch_normalization(net, data.batch(5))
    for variable, value in zip(kept, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    averages = net.get_layer("bn").get_weights()
    with pytest.raises(InputError, match="there are no images"):
        recalibrate_batch_normalization(net, data.take(0).batch(5))
    np.testing.assert_array_equal(net.get_layer("bn").get_weights(), averages)
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded(images)["target"], net(images)["target"])


def test_recalibration_normalizes_each_layer_by_its_batch_as_training_does(rng):
    image = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="first")(image)
    net = keras.Model(image, keras.layers.BatchNormalization(name="second")(keras.layers.ReLU()(x)))
    rows = rng.normal(5, [1, 2, 3, 4], (12, 4)).astype(np.float32)
    batches = [rows[:4], rows[4:] * 3]
    net.get_layer("first").trainable = False  # a frozen one is measured, too
    recalibrate_batch_normalization(net, batches)
    inputs = [np.maximum((b - b.mean(0)) / np.sqrt(b.var(0) + 1e-3), 0) for b in batches]
    np.testing.assert_allclose(net.get_layer("first").moving_mean, np.concatenate(batches).mean(0), rtol=1e-5)
    np.testing.assert_allclose(net.get_layer("second").moving_mean, np.concatenate(inputs).mean(0), rtol=1e-4)
    np.testing.assert_allclose(net.get_layer("second").moving_variance, np.concatenate(inputs).var(0), rtol=1e-4)


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from sjft_tf.models import PerDomainBatchNormalization, recalibrate_batch_normalization
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def net():
    x = image = keras.Input((4, 4, 3))
    for i in range(2):
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        x = PerDomainBatchNormalization(synchronized=True, name=f"bn{i}")(x)
    return keras.Model(image, x)

images = np.random.default_rng(0).uniform(0, 255, (8, 4, 4, 3)).astype("float32")
images[4:] *= 0.1  # the halves differ, so their own statistics would too
alone = net()
with strategy.scope():
    mirrored = net()
mirrored.set_weights(alone.get_weights())
alone(images, training=True)
halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(images[4 * context.replica_id_in_sync_group :][:4])
)
strategy.run(tf.function(lambda half: mirrored(half, training=True)), args=(halves,))

def compare(what):
    for ours, expected in zip(mirrored.weights, alone.weights):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5, err_msg=f"{what} {expected.path}")

compare("training")
data = tf.data.Dataset.from_tensor_slices(images)
recalibrate_batch_normalization(alone, data.batch(8))
recalibrate_batch_normalization(mirrored, data.batch(8))
compare("recalibrated")
for variable in mirrored.weights:
    one, other = (copy.numpy() for copy in variable.value.values)
    np.testing.assert_array_equal(one, other, err_msg=variable.path)
with strategy.scope():
    recalibrate_batch_normalization(mirrored, data.batch(8))
compare("recalibrated in scope")
"""


def test_two_replicas_normalize_and_recalibrate_as_one_device(forked):
    done = forked(TWO_REPLICAS)
    assert done.wait() == 0, done.errors[-3000:]
