"""Gradients of the two losses on the trunk: equal to those by hand, and measured without leaving a trace."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.training import JointModel
from sjft_tf.training.conflict import gradient_conflict

ROWS, SIDE, FEATURES = 6, 2, 4
CLASSES = {"target": 3, "source": 5}


def two_heads(features, image, classes=CLASSES, iter_size=1, **compiled):
    heads = {head: keras.layers.Dense(n, dtype="float32", name=head)(features) for head, n in classes.items()}
    model = JointModel(image, heads, iter_size=iter_size)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), **compiled)
    return model


def linear(seed=0, policy="float32", classes=CLASSES, **settings):
    """Logits are products of matrices; the trunk is the first."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3))
    flat = keras.layers.Flatten()(image)
    trunk = keras.layers.Dense(FEATURES, use_bias=False, name="trunk", dtype=policy)
    return two_heads(trunk(flat), image, classes, **settings)


class Counting(keras.layers.Layer):
    """Counts how often Python runs through it, which is once a trace."""

    calls = 0

    def call(self, x):
        Counting.calls += 1
        return x


def everything(seed=0):
    """A trunk with all that keeps state: batch normalization and dropout."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Dense(FEATURES)(Counting()(keras.layers.Flatten()(image)))
    x = keras.layers.Dropout(0.3, seed=1)(keras.layers.BatchNormalization(name="bn")(x))
    return two_heads(keras.layers.Activation("relu")(x), image)


def batch_of(seed=0, rows=ROWS):
    """Rows T, S, T, S, as `joint_dataset` has them."""
    rng, shape = np.random.default_rng(seed), (rows,)
    is_target = np.arange(rows) % 2 == 0
    masks = {"target": is_target, "source": ~is_target}
    images = rng.normal(size=(*shape, SIDE, SIDE, 3)).astype(np.float32)
    labels = {head: np.where(masks[head], rng.integers(0, n, shape), 0).astype(np.int32) for head, n in CLASSES.items()}
    weights = {head: masks[head].astype(np.float32) for head in CLASSES}
    return tf.nest.map_structure(tf.constant, (images, labels, weights))


def by_hand(model, batch):
    """Norms and cosine of d(mean cross-entropy)/d(trunk matrix), for each domain."""
    images, labels, weights = tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)
    x, trunk = images.reshape(ROWS, -1), model.get_layer("trunk").kernel.numpy()
    gradients = {}
    for head in CLASSES:
        kernel, bias = (variable.numpy() for variable in model.get_layer(head).trainable_variables)
        odds = np.exp(x @ trunk @ kernel + bias)
        errors = odds / odds.sum(axis=1, keepdims=True) - np.eye(CLASSES[head])[labels[head]]
        own = weights[head] == 1
        gradients[head] = x[own].T @ errors[own] @ kernel.T / own.sum()
    norms = [np.linalg.norm(gradients[head]) for head in CLASSES]
    return [*norms, (gradients["target"] * gradients["source"]).sum() / np.prod(norms)]


@pytest.mark.parametrize("seed", range(2))
def test_norms_and_cosine_are_those_by_hand(seed):
    model, batch = linear(seed), batch_of(seed)
    np.testing.assert_allclose(gradient_conflict(model, batch), by_hand(model, batch), rtol=1e-4, atol=1e-6)


def test_the_same_images_with_opposite_labels_pull_in_opposite_directions():
    model = linear(classes={"target": 2, "source": 2})
    model.get_layer("trunk").kernel.assign(np.zeros((12, FEATURES)))  # both classes have probability 1/2
    model.get_layer("source").kernel.assign(model.get_layer("target").kernel)
    images, _, weights = batch_of()
    images = tf.repeat(images[::2], 2, axis=0)
    zeros, ones = tf.zeros(ROWS, tf.int32), tf.ones(ROWS, tf.int32)
    apart = gradient_conflict(model, (images, {"target": zeros, "source": ones}, weights))
    together = gradient_conflict(model, (images, {"target": zeros, "source": zeros}, weights))
    assert apart.cosine == pytest.approx(-1, abs=1e-5) and together.cosine == pytest.approx(1, abs=1e-5)
    assert apart.target_norm == pytest.approx(apart.source_norm, rel=1e-5)


def test_a_loss_weight_scales_its_side_alone():
    model, batch = linear(loss_weights={"target": 2.0, "source": 6.0}), batch_of()
    target, source, cosine = by_hand(model, batch)
    np.testing.assert_allclose(gradient_conflict(model, batch), [target, 3 * source, cosine], rtol=1e-4, atol=1e-6)


def test_of_several_batches_of_an_update_the_first_is_taken():
    several = batch_of(rows=3 * ROWS)
    first = tf.nest.map_structure(lambda rows: tf.gather(rows, [0, 1, 6, 7, 12, 13]), several)  # every third pair
    assert gradient_conflict(linear(iter_size=3), several) == gradient_conflict(linear(), first)


def test_a_gradient_of_zero_has_no_direction():
    model, (images, labels, weights) = linear(), batch_of()
    model.get_layer("source").kernel.assign(np.zeros((FEATURES, 5)))
    found = gradient_conflict(model, (images, labels, weights))
    assert found.target_norm > 0 and (found.source_norm, found.cosine) == (0, 0)


def test_normalization_is_that_of_training():
    model, batch = everything(), batch_of()
    model.get_layer("bn").moving_mean.assign(np.full(FEATURES, 5.0))
    before = gradient_conflict(model, batch)
    model.get_layer("bn").moving_mean.assign(np.full(FEATURES, -5.0))
    assert gradient_conflict(model, batch) == before


@pytest.mark.parametrize("fitted", [True, False])
def test_the_model_is_left_as_it_was_to_the_bit(fitted):
    model, (images, labels, weights) = everything(), batch_of()
    if fitted:
        model.fit(images, labels, sample_weight=weights, batch_size=ROWS, shuffle=False, verbose=0)
    before = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables, *model.metrics_variables)]
    gradient_conflict(model, batch_of(1))
    after = [*model.variables, *model.optimizer.variables, *model.metrics_variables][: len(before)]
    for variable, value in zip(after, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


def test_a_model_is_traced_once_and_can_be_freed():
    model = everything()
    gradient_conflict(model, batch_of(0))
    traced = Counting.calls
    gradient_conflict(model, batch_of(1))
    assert Counting.calls == traced
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_mixed_precision_comes_near_and_is_no_bfloat16():
    batch, exact = batch_of(), linear()
    rough = linear(policy="mixed_bfloat16")
    found = gradient_conflict(rough, batch)
    np.testing.assert_allclose(found, by_hand(exact, batch), rtol=0.03, atol=0.02)
    assert found.target_norm != float(tf.cast(found.target_norm, tf.bfloat16))


def test_models_that_cannot_be_compared_are_refused():
    image = keras.Input((SIDE, SIDE, 3))
    alone = keras.Model(image, {"target": keras.layers.Dense(3, name="target")(keras.layers.Flatten()(image))})
    with pytest.raises(InputError, match="has the heads 'target'; a comparison of gradients needs 'target', 'source'"):
        gradient_conflict(alone, batch_of())
    model = linear()
    uncompiled = keras.Model(model.input, model.output)
    with pytest.raises(InputError, match="compile it"):
        gradient_conflict(uncompiled, batch_of())
