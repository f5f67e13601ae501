"""A linear probe trains the heads by softmax regression on what the trunk makes of images in inference, and nothing else."""

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.training import JointModel, joint_model, linear_probe

RATE = 0.1


@pytest.fixture
def model(rng):
    """A trunk with all that training would do otherwise."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="bn")(x))
    made = joint_model(keras.Model(image, x, name="trunk"), target_classes=3, source_classes=4, source_weight=2)
    made.get_layer("bn").moving_mean.assign(rng.normal(size=6))
    return made


def _rows(rng):
    is_target = np.arange(8) % 2 == 0
    images = rng.uniform(0, 255, (8, 8, 8, 3)).astype(np.float32)
    labels = {"target": rng.integers(0, 3, 8), "source": rng.integers(0, 4, 8)}
    return images, labels, {"target": is_target.astype(np.float32), "source": (~is_target).astype(np.float32)}


def test_heads_move_as_in_softmax_regression_on_the_features_of_inference(model, rng):
    images, labels, weights = _rows(rng)
    features = keras.Model(model.input, model.get_layer("avg_pool").output)(images, training=False).numpy()
    before = {variable.path: variable.numpy() for variable in model.variables}
    probe = linear_probe(model)
    probe.compile(keras.optimizers.SGD(RATE))
    probe.fit(images, labels, sample_weight=weights, batch_size=8, shuffle=False, verbose=0)
    for head, weight in (("target", 1), ("source", 2)):
        own = weights[head] == 1
        odds = np.exp(features[own] @ before[f"{head}/kernel"] + before[f"{head}/bias"])
        errors = odds / odds.sum(axis=1, keepdims=True) - np.eye(odds.shape[1])[labels[head][own]]
        moved = weight * RATE * features[own].T @ errors / own.sum()
        kernel, bias = model.get_layer(head).get_weights()
        np.testing.assert_allclose(before[f"{head}/kernel"] - kernel, moved, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(before[f"{head}/bias"] - bias, weight * RATE * errors.mean(0), rtol=1e-4, atol=1e-6)
    for variable in model.variables:
        if variable.path.split("/")[0] not in ("target", "source"):
            np.testing.assert_array_equal(variable, before[variable.path], err_msg=variable.path)


def test_afterwards_the_whole_model_is_trained(model, rng):
    images, labels, weights = _rows(rng)
    linear_probe(model)
    before = {variable.path: variable.numpy() for variable in model.variables}
    model.compile(keras.optimizers.SGD(RATE))
    model.fit(images, labels, sample_weight=weights, batch_size=8, verbose=0)
    kept = [v.path for v in model.variables if np.array_equal(v, before[v.path]) and "seed" not in v.path]
    assert len(model.trainable_variables) == 8 and kept == []


def test_a_probe_takes_the_models_terms_and_batches(model):
    model.iter_size = 2
    probe = linear_probe(model)
    assert (probe.terms, probe.iter_size) == (model.terms, 2)


def test_a_model_without_heads_on_one_input_is_refused():
    image = keras.Input((4,))
    inner = keras.layers.Dense(5)(image)
    other = JointModel(image, {"target": keras.layers.Dense(3, name="target")(inner),
                               "source": keras.layers.Dense(3, name="source")(image)})  # fmt: skip
    with pytest.raises(InputError, match="with one input, as a linear probe needs them"):
        linear_probe(other)
