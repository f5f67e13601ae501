"""Each callback alone, on a small model."""

import os
import signal

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError, Preempted
from sjft_tf.evaluation import mean_class_accuracy
from sjft_tf.inference import predict
from sjft_tf.preemption import noting
from sjft_tf.selection import Selection
from sjft_tf.training import (
    BatchNormalizationRecalibration,
    Checkpoint,
    GradientConflict,
    JointModel,
    LossCurves,
    OptimizerRestart,
    Preemption,
    TrainingProgress,
    ValidationAccuracy,
    caffe_sgd,
    gradient_conflict,
    joint_dataset,
)
from sjft_tf.training.callbacks.restart import restart


@pytest.fixture
def joint(model):
    """The user's layers with our objective, and normalization and dropout in front of the heads."""

    def make(learning_rate=0.05):
        keras.utils.set_random_seed(0)
        x = model.layers[-3].output
        x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="bn")(x))
        made = JointModel(model.input, {name: model.get_layer(name)(x) for name in ("target", "source")})
        made.compile(caffe_sgd(learning_rate))
        return made

    return make


@pytest.fixture
def data(target, source, table):
    """`data(steps)`: the dataset of a round, and the selection that it draws by."""

    def make(steps=4):
        selection = Selection(table, k0=2)
        return joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=steps), selection

    return make


class Losses(keras.callbacks.Callback):
    """What Keras says after each step: means since the round began."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["target_mean_loss"])


def test_curves_are_the_means_of_stretches_and_those_of_the_round_average_to_its_loss(joint, data, monkeypatch):
    monkeypatch.setattr("sjft_tf.training.callbacks.curves.POINTS", 3)
    dataset, _ = data(10)
    curves, losses = LossCurves(), Losses()
    history = joint().fit(dataset, callbacks=[curves, losses], verbose=0).history
    curve = curves.curve()
    assert curve["step"] == [3, 6, 9, 10]
    sums = np.array(losses.seen) * np.arange(1, 11)
    by_hand = [sums[2] / 3, (sums[5] - sums[2]) / 3, (sums[8] - sums[5]) / 3, sums[9] - sums[8]]
    np.testing.assert_allclose(curve["target"], by_hand, atol=1e-4)
    assert np.average(curve["target"], weights=[3, 3, 3, 1]) == pytest.approx(history["target_mean_loss"][0], abs=1e-4)


def test_a_training_that_diverges_is_ended_in_one_line(joint, data):
    with pytest.raises(
        InputError, match=r"diverged in round 1: the loss is no finite number by step .* 1e\+30, take a l"
    ):
        joint(1e30).fit(data(8)[0], callbacks=[LossCurves()], verbose=0)


def test_a_restart_forgets_momentum_and_seeds_and_keeps_weights(joint, data):
    made = joint()
    made.fit(data()[0], verbose=0)
    weights = made.get_weights()
    restart(made, 7, (0, 1))
    assert int(made.optimizer.iterations) == 7 and float(made.optimizer.learning_rate) == pytest.approx(0.05)
    assert not any(np.any(v) for v in made.optimizer.variables[2:])
    for one, other in zip(weights, made.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    states = []
    for seed in ((0, 1), (0, 2), (0, 1)):
        restart(made, 0, seed)
        states.append(keras.ops.convert_to_numpy(made.layers[-3].seed_generator.state))
    assert (states[0] != states[1]).any()
    np.testing.assert_array_equal(states[0], states[2])


def test_seed_generators_are_found_by_their_type_wherever_layers_hold_them(joint):
    class Noisy(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = [keras.layers.Dropout(0.5, name="seed_of_another_name")]
            self.own = keras.random.SeedGenerator(3, name="mine")

        def call(self, x, training=False):
            return self.inner[0](x, training=training)

    image = keras.Input((4,))
    noisy = Noisy()
    inside = keras.Sequential([keras.Input((4,)), keras.layers.GaussianNoise(1.0)])
    made = keras.Model(image, inside(noisy(image)))
    made.compile(caffe_sgd(0.1), "mse")
    generators = [noisy.own, noisy.inner[0].seed_generator, inside.layers[-1].seed_generator]
    before = [keras.ops.convert_to_numpy(generator.state) for generator in generators]
    restart(made, 0, (5, 5))
    after = [keras.ops.convert_to_numpy(generator.state) for generator in generators]
    assert all((one != other).any() for one, other in zip(before, after, strict=True))
    assert len({tuple(state) for state in after}) == 3


def test_each_epoch_begins_with_a_restart(joint, data):
    rates = []

    class Rate(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 4, end_learning_rate=0.0)
    joint(schedule).fit(data(2)[0], epochs=2, callbacks=[OptimizerRestart(), Rate()], verbose=0)
    joint(schedule).fit(data(2)[0], epochs=2, callbacks=[OptimizerRestart(steps=1), Rate()], verbose=0)
    assert rates == pytest.approx([1, 0.75, 1, 0.75, 1, 0.75, 0.75, 0.5])


def test_validation_and_conflict_are_in_the_logs(joint, data, target):
    made, (dataset, _) = joint(), data()
    callbacks = [GradientConflict(dataset), ValidationAccuracy(target)]
    history = made.fit(dataset, callbacks=callbacks, verbose=0).history
    answers = predict(made, target).argmax(-1)
    assert history["val_mean_class_accuracy"] == [mean_class_accuracy(target.labels, answers, 3)]
    found = gradient_conflict(made, next(iter(dataset)))
    names = ("target_gradient", "source_gradient", "gradient_cosine")
    assert [history[name][0] for name in names] == pytest.approx(list(found), rel=0.5)  # dropout draws other units


def test_recalibrated_averages_are_those_of_the_target(joint, data, target):
    made = joint()
    bn = made.get_layer("bn")
    made.fit(data()[0], callbacks=[BatchNormalizationRecalibration(target, 16)], verbose=0)
    mixed = keras.ops.convert_to_numpy(bn.moving_mean)
    features = keras.Model(made.input, bn.input)
    from sjft_tf.domains import image_batches
    from sjft_tf.images import center_view

    views = np.concatenate([v for v in image_batches(target, lambda image: center_view(image, 16), batch_size=4)])
    np.testing.assert_allclose(mixed, features(views).numpy().mean(0), rtol=1e-4, atol=1e-6)


class Signal(keras.callbacks.Callback):
    """Sends this process a signal at a step."""

    def __init__(self, number, step):
        super().__init__()
        self.number, self.step = number, step

    def on_train_batch_begin(self, batch, logs=None):
        if batch + 1 == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "raised", "step", "stands_in"),
    [
        (signal.SIGTERM, Preempted, 2, (0, 2)),
        (signal.SIGINT, KeyboardInterrupt, 3, (0, 3)),
        (signal.SIGTERM, Preempted, 4, (1, 0)),
    ],
)
def test_a_signal_lets_the_step_or_the_round_end_and_what_is_done_is_saved(
    joint, data, tmp_path, number, raised, step, stands_in
):
    dataset, selection = data(4)
    before = signal.getsignal(number)
    checkpoint, told = Checkpoint(tmp_path / "c.npz", selection), []
    with pytest.raises(raised), noting() as asked:
        callbacks = [Signal(number, step), checkpoint, TrainingProgress(lambda *of: told.append(of), checkpoint)]
        joint().fit(dataset, epochs=2, callbacks=[*callbacks, Preemption(asked, checkpoint)], verbose=0)
    resumed = Checkpoint(tmp_path / "c.npz", selection)
    assert (resumed.round, resumed.step) == stands_in
    assert told == [(done, 8) for done in range(1, step + 1)]
    assert signal.getsignal(number) is before
