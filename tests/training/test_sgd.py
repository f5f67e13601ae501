"""The optimizer against Caffe's update (specification 5.2) and the schedules against hand figures."""

import keras
import numpy as np
import pytest

from sjft_tf.training import joint_sgd, learning_rate_schedule


def _variable(name, value=1.0):
    layer = keras.layers.Dense(1, use_bias=True, name=name)
    layer.build((None, 1))
    layer.kernel.assign([[value]])
    layer.bias.assign([value])
    return layer


def test_update_equals_caffes():
    layer = _variable("conv")
    optimizer = joint_sgd(0.01, weight_decay=1e-4)
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


@pytest.mark.parametrize(("name", "decays"), [("target", False), ("source", False), ("conv", True)])
def test_only_the_biases_of_the_heads_do_not_decay(name, decays):
    layer = _variable(name)
    optimizer = joint_sgd(1.0, momentum=0.0, weight_decay=0.5)
    zeros = [np.zeros((1, 1), np.float32), np.zeros(1, np.float32)]
    optimizer.apply(zeros, [layer.kernel, layer.bias])
    assert layer.kernel.numpy().item() == 0.5
    assert layer.bias.numpy().item() == (0.5 if decays else 1.0)


def test_optimizer_survives_saving():
    optimizer = joint_sgd(0.3, momentum=0.8, weight_decay=0.02)
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.coupled_weight_decay == 0.02


def test_step_schedule_falls_to_a_tenth_after_each_third():
    schedule = learning_rate_schedule("step", 1.0, 9)
    rates = [float(schedule(step)) for step in range(9)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_cosine_schedule_ends_at_zero_and_constant_stays():
    schedule = learning_rate_schedule("cosine", 0.5, 10)
    steps = np.arange(11)
    expected = 0.25 * (1 + np.cos(np.pi * steps / 10))
    np.testing.assert_allclose([float(schedule(s)) for s in steps], expected, atol=1e-7)
    assert learning_rate_schedule("constant", 0.5, 10) == 0.5
