"""SGD as the authors' Caffe solver has it, and its learning rate over the steps of a run."""

from typing import Any

import keras

HEAD_BIASES = ("target/bias", "source/bias")


@keras.saving.register_keras_serializable("sjft_tf")
class CoupledSGD(keras.optimizers.SGD):
    """Momentum SGD with weight decay added to the gradient: `v = m v - lr (g + d w); w = w + v`.

    Keras' own `weight_decay` shrinks the weights outside the momentum instead. The biases of the heads do not decay.

    Args:
        learning_rate: a number or a Keras schedule.
        momentum: the share of the last update that is kept.
        coupled_weight_decay: `d` above.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        coupled_weight_decay: float = 1e-4,
        name: str = "coupled_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        # What arrives is the bare TensorFlow variable, which does not know its path.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        if not path.endswith(HEAD_BIASES):
            gradient = gradient + keras.ops.cast(self.coupled_weight_decay * variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}


def joint_sgd(learning_rate: Any, *, momentum: float = 0.9, weight_decay: float = 1e-4) -> CoupledSGD:
    """The authors' optimizer: momentum SGD, weight decay coupled, heads' biases excepted (spec 5.2).

    Args:
        learning_rate: a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: 0.9 in the paper.
        weight_decay: added to the gradient as `weight_decay * w`; 1e-4 in the paper.
    """
    return CoupledSGD(learning_rate, momentum=momentum, coupled_weight_decay=weight_decay)


def learning_rate_schedule(kind: str, learning_rate: float, steps: int) -> Any:
    """The learning rate over `steps` steps.

    Args:
        kind: `step` (a tenth after each third), `cosine` (down to 0) or `constant`.
        learning_rate: at the first step.
        steps: how many steps it spans.
    """
    if kind == "constant":
        return learning_rate
    if kind == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=steps)
    # PiecewiseConstantDecay keeps a value up to and including its boundary.
    boundaries = [-(-steps // 3) - 1, -(-2 * steps // 3) - 1]
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries, [learning_rate, learning_rate / 10, learning_rate / 100]
    )
