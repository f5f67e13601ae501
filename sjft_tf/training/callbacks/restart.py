"""Each round a new solver on the old weights."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from sjft_tf.training.callbacks.averages import begin_anew


class OptimizerRestart(keras.callbacks.Callback):
    """At the beginning of every epoch momentum is 0, and what layers such as dropout draw begins again.

    Averages of the weights, where the optimizer makes any, begin with the weights then.

    So a round depends on nothing but `seed` and the weights that it begins with. Must come before `Checkpoint`, which
    restores what a round has done.

    Args:
        seed: decides what layers draw.
        steps: how far the learning rate's schedule moves on with each round; 0: it begins again, too.
    """

    def __init__(self, seed: int = 0, *, steps: int = 0) -> None:
        super().__init__()
        self.seed, self.steps = seed, steps

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin again."""
        with self.model.distribute_strategy.scope():
            restart(self.model, epoch * self.steps, (self.seed, epoch))


def restart(model: keras.Model, step: int, seed: tuple[int, int]) -> None:
    """Momentum 0, averages that are the weights, the learning rate of step `step`, and seeds of layers from `seed`."""
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    for variable in optimizer.variables:
        if variable is not optimizer.learning_rate:
            variable.assign(keras.ops.zeros_like(variable))
    begin_anew(model)
    optimizer.iterations.assign(step)
    for position, generator in enumerate(dict.fromkeys(_seed_generators(model, set()))):
        state = np.random.SeedSequence((*seed, position)).generate_state(generator.state.shape[0])
        generator.state.assign(state)


def _seed_generators(holder: Any, seen: set[int]) -> Iterator[keras.random.SeedGenerator]:
    """Those that layers hold, and layers in them, in the order in which they are found."""
    if isinstance(holder, keras.random.SeedGenerator):
        yield holder
    elif isinstance(holder, keras.layers.Layer | list | tuple | dict) and id(holder) not in seen:
        seen.add(id(holder))
        parts = vars(holder) if isinstance(holder, keras.layers.Layer) else holder
        for part in parts.values() if isinstance(parts, dict) else parts:
            yield from _seed_generators(part, seen)
