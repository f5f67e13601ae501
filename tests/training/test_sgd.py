"""The optimizer against Caffe's update (specification 5.2) and the schedules against hand figures."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.training import CaffeSGD, caffe_sgd, learning_rate_schedule

HEADS = ("target", "source")
OPTIONS = {"decay_head_biases": True, "decay_bn": False, "trunk_learning_rate": 3.0, "head_bias_learning_rate": 2.0}


def _variable(name, value=1.0):
    layer = keras.layers.Dense(1, use_bias=True, name=name)
    layer.build((None, 1))
    layer.kernel.assign([[value]])
    layer.bias.assign([value])
    return layer


def _net():
    """One number for each kind of variable, by its path: kernels, biases, scale and shift; each begins with 1."""
    layers = [_variable(name) for name in ("conv", *HEADS, "retarget")]
    normalization = keras.layers.BatchNormalization(name="bn", beta_initializer="ones")
    normalization.build((None, 1))
    return {v.path: v for layer in (*layers, normalization) for v in layer.trainable_variables}


def test_update_equals_caffes():
    layer = _variable("conv")
    optimizer = caffe_sgd(0.01, weight_decay=1e-4)
    expected, velocity, seen = 1.0, 0.0, []
    for rate in (0.01, 0.01, 0.001):
        optimizer.learning_rate.assign(rate)
        optimizer.apply([np.array([[0.5]], np.float32)], [layer.kernel])
        velocity = 0.9 * velocity + rate * (0.5 + 1e-4 * expected)
        expected -= velocity
        seen.append(float(layer.kernel.numpy().item()))
        assert seen[-1] == pytest.approx(expected, abs=1e-7)
    # The figures printed in the specification, which has them for these very settings.
    assert seen == pytest.approx([0.994999, 0.985497105, 0.976445301], abs=1e-6)


def _check_updates(strategy, options, multiples):
    """Three updates by gradients of 0.5; decay and learning rate are multiplied by the pair of a variable's kind."""
    rates = (0.01, 0.01, 0.001)
    with strategy.scope():
        net = _net()
        optimizer = caffe_sgd(0.01, weight_decay=0.5, **options)
        optimizer.build(list(net.values()))
    gradients = [tf.fill(variable.shape, 0.5) for variable in net.values()]
    update = tf.function(lambda: strategy.run(lambda: optimizer.apply(gradients)))
    for learning_rate in rates:
        optimizer.learning_rate.assign(learning_rate)
        update()
    expected = {}
    for path in net:
        layer, name = path.split("/")
        kind = f"head {name}" if layer in HEADS else "scale" if name in ("gamma", "beta") else "trunk"
        decay, factor = multiples.get(kind, (1, 1))
        weight, velocity = 1.0, 0.0
        for learning_rate in rates:
            velocity = 0.9 * velocity - learning_rate * factor * (0.5 + 0.5 * decay * weight)
            weight += velocity
        expected[path] = weight
    assert {path: v.numpy().item() for path, v in net.items()} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "multiples"),
    [
        ({}, {"head bias": (0, 1)}),
        ({"decay_head_biases": True}, {}),
        ({"decay_bn": False}, {"head bias": (0, 1), "scale": (0, 1)}),
        ({"trunk_learning_rate": 0.1}, {"head bias": (0, 1), "trunk": (1, 0.1), "scale": (1, 0.1)}),
        (
            {"trunk_learning_rate": 5.0, "head_bias_learning_rate": 2.0},
            {"head bias": (0, 2), "trunk": (1, 5), "scale": (1, 5)},
        ),
        ({"head_bias_learning_rate": 2.0}, {"head bias": (0, 2)}),  # the authors' code
    ],
)
def test_each_variable_decays_and_learns_by_its_kind(options, multiples):
    _check_updates(tf.distribute.get_strategy(), options, multiples)


def test_replicated_variables_are_told_apart_too():
    multiples = {"head bias": (1, 2), "trunk": (1, 3), "scale": (0, 3)}
    _check_updates(tf.distribute.MirroredStrategy(["CPU:0"]), OPTIONS, multiples)


def _operations(optimizer):
    net = list(_net().values())
    optimizer.build(net)
    gradients = [tf.ones(variable.shape) for variable in net]
    return len(tf.function(lambda: optimizer.apply(gradients)).get_concrete_function().graph.get_operations())


def test_no_decay_and_no_factor_cost_no_operation():
    assert _operations(caffe_sgd(0.1, weight_decay=0.0)) == _operations(keras.optimizers.SGD(0.1, momentum=0.9))
    assert _operations(caffe_sgd(0.1, decay_bn=False)) < _operations(caffe_sgd(0.1))


def test_accumulated_gradients_decay_once_by_their_mean():
    """`fit` of a plain Keras model with Keras' own accumulation, against a computation by hand."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="conv")])
    model.layers[0].kernel.assign([[1.0]])
    optimizer = CaffeSGD(0.1, momentum=0.9, coupled_weight_decay=0.5, gradient_accumulation_steps=2)
    model.compile(optimizer, "mse", jit_compile=False)
    inputs, outputs = np.array([1.0, 2.0, 3.0, 1.0]), np.array([2.0, 1.0, 0.0, -1.0])
    model.fit(inputs[:, None], outputs[:, None], batch_size=1, shuffle=False, verbose=0)
    weight, velocity = 1.0, 0.0
    for pair in (slice(0, 2), slice(2, 4)):
        gradient = np.mean(2 * (weight * inputs[pair] - outputs[pair]) * inputs[pair])
        velocity = 0.9 * velocity - 0.1 * (gradient + 0.5 * weight)
        weight += velocity
    assert model.layers[0].kernel.numpy().item() == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize(("lr_step", "after"), [(4, [-1, -2, -2.1, -2.2]), (2, [-1, -1.1, -1.11, -1.111])])
def test_schedules_count_micro_batches_under_keras_accumulation(lr_step, after):
    """Falling after 2 updates of 2 micro-batches takes an `lr_step` of 4 (specification 5.3)."""
    layer = _variable("conv", 0.0)
    schedule = learning_rate_schedule("step", 1.0, 8, lr_step=lr_step)
    optimizer = CaffeSGD(schedule, momentum=0.0, coupled_weight_decay=0.0, gradient_accumulation_steps=2)
    seen = []
    for _ in range(8):
        optimizer.apply([np.ones((1, 1), np.float32)], [layer.kernel])
        seen.append(layer.kernel.numpy().item())
    assert seen[1::2] == pytest.approx(after)


def test_gradients_are_clipped_before_decay_is_added():
    layer = _variable("conv")
    optimizer = CaffeSGD(1.0, momentum=0.0, coupled_weight_decay=0.25, clipnorm=0.5)
    optimizer.apply([np.array([[8.0]], np.float32)], [layer.kernel])
    assert layer.kernel.numpy().item() == 1 - (0.5 + 0.25)


def test_optimizer_survives_saving():
    schedule = learning_rate_schedule("step", 0.3, 9, lr_step=2)
    optimizer = caffe_sgd(schedule, momentum=0.8, weight_decay=0.02, **OPTIONS)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    kept = {"coupled_weight_decay": 0.02, "momentum": 0.8, **OPTIONS}
    assert {name: getattr(again, name) for name in kept} == kept
    again.iterations.assign(4)
    assert float(again.learning_rate) == pytest.approx(0.003)


def test_step_schedule_falls_to_a_tenth_after_each_third():
    schedule = learning_rate_schedule("step", 1.0, 9)
    rates = [float(schedule(step)) for step in range(9)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    uneven = learning_rate_schedule("step", 1.0, 10)
    assert [float(uneven(step)) for step in range(10)] == pytest.approx([1] * 4 + [0.1] * 3 + [0.01] * 3)


def test_step_schedule_of_a_given_length_falls_again_and_again():
    """Caffe's `0.01 * 0.1 ^ floor(update / stepsize)`, every rate the float32 nearest to the true one."""
    for first in (0.01, 0.03, 0.05, 0.3):
        schedule = learning_rate_schedule("step", first, 12, lr_step=4)
        rates = np.array([schedule(step) for step in range(24)])
        np.testing.assert_array_equal(rates, np.float32(np.repeat([first / 10**k for k in range(6)], 4)))
        assert rates.dtype == np.float32
    # The released solver: 20,000 updates, a tenth after every 4,000 (specification 5.5).
    authors = learning_rate_schedule("step", 0.01, 20_000, lr_step=4000)
    at = tf.Variable([3999, 4000, 11_999, 12_000, 19_999], dtype=tf.int64)
    np.testing.assert_allclose(authors(at), [1e-2, 1e-3, 1e-4, 1e-5, 1e-6], rtol=1e-6)


def test_cosine_schedule_ends_at_zero_and_constant_stays():
    schedule = learning_rate_schedule("cosine", 0.5, 10)
    steps = np.arange(11)
    expected = 0.25 * (1 + np.cos(np.pi * steps / 10))
    np.testing.assert_allclose([float(schedule(s)) for s in steps], expected, atol=1e-7)
    assert learning_rate_schedule("constant", 0.5, 10) == 0.5
