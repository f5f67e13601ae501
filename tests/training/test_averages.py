"""Averaged weights: those by hand between the two callbacks, the weights to the bit after them, and statistics untouched."""

import keras
import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.training import AveragedWeights, JointModel, OptimizerRestart, caffe_sgd
from sjft_tf.training.callbacks.averages import copy_averages, exchange
from sjft_tf.training.callbacks.restart import restart

MOMENTUM = 0.7


def _model(**settings):
    keras.utils.set_random_seed(0)
    image = keras.Input((4,))
    x = keras.layers.BatchNormalization(momentum=0.5, name="bn")(keras.layers.Dense(5, name="hidden")(image))
    model = JointModel(image, {"target": keras.layers.Dense(3, name="target")(x)})
    model.compile(caffe_sgd(0.1, **settings))
    return model


AVERAGED = {"use_ema": True, "ema_momentum": MOMENTUM}


class Seen(keras.callbacks.Callback):
    """Weights after each step, and, by name of what comes before it, all variables at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.ends = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append([variable.numpy() for variable in self.model.trainable_variables])

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append({variable.path: variable.numpy() for variable in self.model.variables})


def _fit(model, *callbacks, epochs=1):
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(24, 4)), {"target": rng.integers(0, 3, 24)}
    model.fit(images, labels, batch_size=6, shuffle=False, epochs=epochs, callbacks=list(callbacks), verbose=0)


def test_between_the_callbacks_are_the_averages_by_hand_and_after_them_the_weights(rng):
    model, averages, between, after = _model(**AVERAGED), AveragedWeights(), Seen(), Seen()
    _fit(model, OptimizerRestart(), averages, between, averages.back, after, epochs=2)
    for epoch in range(2):
        steps = after.steps[4 * epoch : 4 * epoch + 4]
        average = steps[0]  # it begins anew in each round
        for step in steps[1:]:
            average = [MOMENTUM * a + (1 - MOMENTUM) * w for a, w in zip(average, step, strict=True)]
        for variable, expected, weights in zip(model.trainable_variables, average, steps[-1], strict=True):
            np.testing.assert_allclose(between.ends[epoch][variable.path], expected, rtol=1e-5, atol=1e-7)
            np.testing.assert_array_equal(after.ends[epoch][variable.path], weights)


def test_training_and_statistics_of_normalization_are_those_without_averages():
    plain, averaged, averages = Seen(), Seen(), AveragedWeights()
    between = Seen()
    _fit(_model(), plain, epochs=2)
    _fit(_model(**AVERAGED), averages, between, averages.back, averaged, epochs=2)
    for one, other in zip(plain.ends, averaged.ends, strict=True):
        for path, values in one.items():
            np.testing.assert_array_equal(values, other[path], err_msg=path)
    for name in ("bn/moving_mean", "bn/moving_variance"):
        np.testing.assert_array_equal(between.ends[1][name], plain.ends[1][name])


def test_where_the_schedule_goes_on_averages_begin_with_the_weights():
    model = _model(**AVERAGED)
    _fit(model)
    weights = [variable.numpy() for variable in model.trainable_variables]
    restart(model, 40, (0, 0))
    exchange(model)
    for variable, expected in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, expected)


def test_a_copy_gets_weights_and_averages():
    model, copy, averages, seen = _model(**AVERAGED), _model(**AVERAGED), AveragedWeights(), Seen()
    _fit(model, averages, seen, averages.back)
    copy.set_weights(model.get_weights())
    copy_averages(model, copy)
    exchange(copy)
    for variable in copy.trainable_variables:
        np.testing.assert_array_equal(variable, seen.ends[0][variable.path])


def test_an_optimizer_without_averages_is_refused():
    with pytest.raises(InputError, match="make it with use_ema=True"):
        _fit(_model(), AveragedWeights())
