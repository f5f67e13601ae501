"""Turns of training for `measuring.in_turns`: joint training, the same on constant data, and Keras' plain `fit`.

Each turn makes `warm_up` steps and then `steps` that are timed, from when the devices have done the former to when they have
done the latter.
"""

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain
from sjft_tf.selection import Selection
from sjft_tf.stages.profile import on_one_batch
from sjft_tf.training import JointModel, LossCurves, caffe_sgd, joint_dataset

AHEAD = 32  # batches beyond those asked for, so that at the end of a turn as much input is under way as anywhere in it


def tiny_model(image_size: int, **classes: int) -> JointModel:
    """A few layers with a head for each of `classes`, in the place of a backbone: for quick runs."""
    image = keras.Input((image_size, image_size, 3))
    features = keras.layers.Conv2D(4, 3, strides=4)(keras.layers.Rescaling(1 / 255)(image))
    features = keras.layers.GlobalAveragePooling2D()(features)
    return JointModel(image, {head: keras.layers.Dense(count, name=head)(features) for head, count in classes.items()})


class Stopwatch(keras.callbacks.Callback):
    """Seconds from the end of step `warm_up` of a `fit` to the end of the `steps` after it, with which it ends."""

    def __init__(self, warm_up: int, steps: int) -> None:
        super().__init__()
        self.warm_up, self.last = warm_up, warm_up + steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Start and stop."""
        if batch + 1 == self.warm_up:
            self.start = now()
        if batch + 1 == self.last:
            self.seconds = now() - self.start
            self.model.stop_training = True


def now() -> float:
    """Seconds on the clock when all devices have done what was asked of them."""
    tf.test.experimental.sync_devices()
    return time.perf_counter()


def joint(
    model: keras.Model, target: Domain, source: Domain,
    *, batch_size: int, steps: int, warm_up: int, jit_compile: bool = False,
) -> Callable[[], float]:  # fmt: skip
    """Joint training as `sjft-tf train` does it, from an input pipeline that begins empty."""
    _compile(model, jit_compile)

    def turn() -> float:
        data = joint_batches(model, target, source, batch_size=batch_size, steps=warm_up + steps + AHEAD)
        stopwatch = Stopwatch(warm_up, steps)
        model.fit(data, verbose=0, callbacks=[LossCurves(), stopwatch])
        return stopwatch.seconds

    return turn


def on_constant_data(
    model: keras.Model, target: Domain, source: Domain,
    *, batch_size: int, steps: int, warm_up: int, jit_compile: bool = False,
) -> Callable[[], float]:  # fmt: skip
    """The same step on one batch that stays on the device."""
    _compile(model, jit_compile)
    batch = next(iter(joint_batches(model, target, source, batch_size=batch_size, steps=1)))
    step = on_one_batch(model.distribute_strategy, model.train_step, batch, compiled=jit_compile)
    return lambda: _seconds(step, steps, warm_up)


def keras_fit(
    model: keras.Model, classes: int, *, batch_size: int, steps: int, warm_up: int, jit_compile: bool = False
) -> Callable[[], float]:
    """Keras' `fit` of a model that answers with logits, on ready arrays, shuffled."""
    rng, n = np.random.default_rng(0), batch_size * (warm_up + steps)
    images = rng.integers(0, 256, (n, *model.input_shape[1:]), np.uint8).astype(np.float32)
    labels = rng.integers(0, classes, n)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"], jit_compile=jit_compile)

    def turn() -> float:
        stopwatch = Stopwatch(warm_up, steps)
        model.fit(images, labels, batch_size=batch_size, verbose=0, callbacks=[stopwatch])
        return stopwatch.seconds

    return turn


def joint_batches(
    model: keras.Model, target: Domain, source: Domain, *, batch_size: int, steps: int
) -> tf.data.Dataset:
    """A round of joint training; each target image draws from the whole source."""
    selection = Selection(None, n_source=len(source), mode="all")
    return joint_dataset(
        target, source, selection, batch_size=batch_size, image_size=model.input_shape[1], steps=steps
    )  # fmt: skip


def _compile(model: keras.Model, jit_compile: bool) -> None:
    if not model.compiled:  # both sides of one model take the same optimizer
        model.compile(caffe_sgd(0.01), jit_compile=jit_compile)


def _seconds(step: Callable[[], object], steps: int, warm_up: int) -> float:
    for _ in range(warm_up):
        step()
    start = now()
    for _ in range(steps):
        step()
    return now() - start
