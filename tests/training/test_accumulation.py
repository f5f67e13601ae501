"""Gradients of several batches, accumulated for one update."""

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.training import JointModel
from sjft_tf.training.accumulation import part

RATE = 0.1


def linear(iter_size):
    """Two linear heads on the image's mean; a user's own layers under our train step."""
    keras.utils.set_random_seed(0)
    image = keras.Input((2, 2, 3))
    features = keras.layers.GlobalAveragePooling2D()(image)
    heads = {
        name: keras.layers.Dense(n, use_bias=False, name=name)(features) for name, n in (("target", 2), ("source", 3))
    }
    model = JointModel(image, heads, iter_size=iter_size)
    model.compile(keras.optimizers.SGD(RATE))
    return model


def _rows(rng, n):
    """Rows of `n` batches of four: pair after pair, the i-th of `n` for the i-th batch."""
    images = rng.normal(size=(4 * n, 2, 2, 3)).astype(np.float32)
    labels = {"target": rng.integers(0, 2, 4 * n), "source": rng.integers(0, 3, 4 * n)}
    is_target = np.tile([1.0, 0.0], 2 * n).astype(np.float32)
    return images, labels, {"target": is_target, "source": 1 - is_target}


def _of_batch(rows, i, n):
    return rows.reshape(-1, n, 2, *rows.shape[1:])[:, i].reshape(-1, *rows.shape[1:])


def _gradient(kernel, features, labels, weights):
    """Of the mean cross-entropy over the rows that count, with respect to a head's kernel."""
    logits = features @ kernel
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return features.T @ (p * weights[:, None]) / weights.sum()


def test_a_part_has_every_nth_pair_and_an_even_split_of_the_rows_splits_each_part():
    rows = np.arange(24)
    whole = [part(rows, i, 3, in_pairs=True).numpy().tolist() for i in range(3)]
    assert whole[1] == [2, 3, 8, 9, 14, 15, 20, 21]
    halves = [[part(half, i, 3, in_pairs=True).numpy().tolist() for i in range(3)] for half in (rows[:12], rows[12:])]
    assert [one + other for one, other in zip(*halves, strict=True)] == whole
    assert part(rows, 1, 3, in_pairs=False).numpy().tolist() == list(range(1, 24, 3))


def test_the_update_is_by_the_mean_of_the_batches_gradients(rng):
    model, (images, labels, weights) = linear(3), _rows(rng, 3)
    kernels = {head: model.get_layer(head).kernel.numpy() for head in labels}
    model.fit(images, labels, sample_weight=weights, batch_size=12, shuffle=False, verbose=0)
    for head, kernel in kernels.items():
        gradients = [
            _gradient(
                kernel, *(_of_batch(x, i, 3) for x in (images.mean(axis=(1, 2)), labels[head], weights[head]))
            )
            for i in range(3)
        ]  # fmt: skip
        expected = kernel - RATE * np.mean(gradients, axis=0)
        np.testing.assert_allclose(model.get_layer(head).kernel.numpy(), expected, atol=1e-6)
    assert int(model.optimizer.iterations) == 1


def test_loss_and_metrics_are_means_over_all_batches(rng):
    model, (images, labels, weights) = linear(3), _rows(rng, 3)
    expected = model.evaluate(images, labels, sample_weight=weights, batch_size=12, verbose=0, return_dict=True)
    got = model.fit(images, labels, sample_weight=weights, batch_size=12, verbose=0).history
    for name in ("loss", "target_accuracy", "source_accuracy", "target_mean_loss"):
        assert got[name][0] == pytest.approx(expected[name], rel=1e-5)


def test_one_batch_an_update_is_trained_on_as_keras_does(rng):
    model = linear(1)
    plain = keras.models.clone_model(keras.Model(model.inputs, model.output))
    plain.set_weights(model.get_weights())
    plain.compile(keras.optimizers.SGD(RATE), model.loss, {"target": 2.0, "source": 2.0}, jit_compile=False)
    images, labels, weights = _rows(rng, 1)
    for each in (model, plain):
        each.fit(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_moving_averages_move_with_every_batch(rng):
    image = keras.Input((2, 2, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(momentum=0.5, name="bn")(image))
    heads = {name: keras.layers.Dense(n, name=name)(x) for name, n in (("target", 2), ("source", 3))}
    model = JointModel(image, heads, iter_size=2)
    model.compile(keras.optimizers.SGD(0.0))
    images, labels, weights = _rows(rng, 2)
    model.fit(images, labels, sample_weight=weights, batch_size=8, shuffle=False, verbose=0)
    means = [_of_batch(images, i, 2).mean(axis=(0, 1, 2)) for i in range(2)]
    np.testing.assert_allclose(model.get_layer("bn").moving_mean, 0.25 * means[0] + 0.5 * means[1], atol=1e-6)


def test_rows_that_do_not_divide_into_the_batches_are_refused(rng):
    images, labels, weights = _rows(rng, 1)
    with pytest.raises(InputError, match="in 3 parts; take a multiple of 6"):
        linear(3).fit(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    with pytest.raises(InputError, match="iter_size is 0"):
        linear(0)
