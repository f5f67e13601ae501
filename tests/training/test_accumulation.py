"""Gradients of several batches, accumulated for one update."""

import keras
import numpy as np
import pytest

from sjft_tf.models.accumulation import JointModel

RATE = 0.1


@pytest.fixture
def linear():
    """Two linear heads on the image's mean; a user's own layers under our train step."""
    keras.utils.set_random_seed(0)
    image = keras.Input((2, 2, 3))
    features = keras.layers.GlobalAveragePooling2D()(image)
    heads = {
        name: keras.layers.Dense(n, use_bias=False, name=name)(features) for name, n in (("target", 2), ("source", 3))
    }
    model = JointModel(image, heads)
    model.compile(
        keras.optimizers.SGD(RATE),
        {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in heads},
        weighted_metrics={name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for name in heads},
        jit_compile=False,
    )
    return model


def _batches(rng, n, rows=4):
    images = rng.normal(size=(rows, n, 2, 2, 3)).astype(np.float32)
    labels = {"target": rng.integers(0, 2, (rows, n)), "source": rng.integers(0, 3, (rows, n))}
    is_target = np.tile([[1.0], [0.0]], (rows // 2, n)).astype(np.float32)
    return images, labels, {"target": is_target, "source": 1 - is_target}


def _gradient(kernel, features, labels, weights):
    """Of the masked mean cross-entropy with respect to a head's kernel."""
    logits = features @ kernel
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return features.T @ (p * weights[:, None]) / len(labels)


def test_the_update_is_by_the_mean_of_the_batches_gradients(linear, rng):
    images, labels, weights = _batches(rng, 3)
    kernels = {head: linear.get_layer(head).kernel.numpy() for head in labels}
    linear.fit(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    for head, kernel in kernels.items():
        gradients = [
            _gradient(kernel, images[:, i].mean(axis=(1, 2)), labels[head][:, i], weights[head][:, i]) for i in range(3)
        ]
        expected = kernel - RATE * np.mean(gradients, axis=0)
        np.testing.assert_allclose(linear.get_layer(head).kernel.numpy(), expected, atol=1e-6)
    assert int(linear.optimizer.iterations) == 1


def test_loss_and_metrics_are_means_over_all_batches(linear, rng):
    images, labels, weights = _batches(rng, 3)
    flat = [value.reshape(-1, *value.shape[2:]) for value in (images, *labels.values(), *weights.values())]
    expected = linear.evaluate(
        flat[0], dict(zip(labels, flat[1:3], strict=True)),
        sample_weight=dict(zip(weights, flat[3:], strict=True)), batch_size=12, verbose=0, return_dict=True,
    )  # fmt: skip
    got = linear.fit(images, labels, sample_weight=weights, batch_size=4, verbose=0).history
    for name in ("loss", "target_accuracy", "source_accuracy"):
        assert got[name][0] == pytest.approx(expected[name], rel=1e-5)


def test_a_batch_without_that_axis_is_trained_on_as_keras_does(linear, rng):
    plain = keras.models.clone_model(keras.Model(linear.inputs, linear.output))
    plain.set_weights(linear.get_weights())
    plain.compile(keras.optimizers.SGD(RATE), linear.loss, jit_compile=False)
    images, labels, weights = (
        value[:, 0] if isinstance(value, np.ndarray) else {head: rows[:, 0] for head, rows in value.items()}
        for value in _batches(rng, 1)
    )
    for model in (linear, plain):
        model.fit(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    for one, other in zip(linear.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_moving_averages_move_with_every_batch(rng):
    image = keras.Input((2, 2, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(momentum=0.5, name="bn")(image))
    model = JointModel(
        image, {"target": keras.layers.Dense(2, name="target")(x), "source": keras.layers.Dense(3, name="source")(x)}
    )
    losses = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in ("target", "source")}
    model.compile(keras.optimizers.SGD(0.0), losses, jit_compile=False)
    images, labels, weights = _batches(rng, 2)
    model.fit(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    means = images.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(model.get_layer("bn").moving_mean, 0.25 * means[0] + 0.5 * means[1], atol=1e-6)
