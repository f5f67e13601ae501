"""SGD as the authors' Caffe solver has it, and its learning rate over the updates of a run."""

from collections.abc import Sequence
from typing import Any

import keras

from sjft_tf.training.objectives import SOURCE, TARGET


@keras.saving.register_keras_serializable(package="sjft_tf")
class CaffeSGD(keras.optimizers.SGD):
    """Momentum SGD with weight decay added to the gradient: `v = m v - lr r (g + d w); w = w + v`.

    Keras' own `weight_decay` shrinks the weights outside the momentum instead. Variables differ by their paths: heads
    are layers by name; scale and shift of normalizations are called `gamma` and `beta`. Gradients are
    clipped before decay is added. With Keras' `gradient_accumulation_steps=n`, decay is added once, to the mean of n
    gradients; schedules then count micro-batches, not updates, and what is left over after the last multiple of n waits
    for the next `fit`: multiply a schedule's lengths by n, and make `steps_per_epoch` a multiple of it.

    Args:
        learning_rate: a number or a Keras schedule.
        momentum: `m` above.
        coupled_weight_decay: `d` above.
        decay_head_biases: whether `d` holds for the heads' biases, not in the authors' code; 0 otherwise.
        decay_bn: whether `d` holds for scale and shift of normalizations, as in the authors' code; 0 otherwise.
        trunk_learning_rate: `r` above for all but the heads; 1 for these.
        head_bias_learning_rate: `r` for the heads' biases.
        heads: names of the heads' layers; None: the outputs of the `JointModel` that is compiled with this, of other models
            `target` and `source`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        coupled_weight_decay: float = 1e-4,
        decay_head_biases: bool = False,
        decay_bn: bool = True,
        trunk_learning_rate: float = 1.0,
        head_bias_learning_rate: float = 1.0,
        heads: Sequence[str] | None = None,
        name: str = "caffe_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay
        self.decay_head_biases = decay_head_biases
        self.decay_bn = decay_bn
        self.trunk_learning_rate = trunk_learning_rate
        self.head_bias_learning_rate = head_bias_learning_rate
        self.heads = None if heads is None else tuple(heads)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        # What arrives is the bare TensorFlow variable, which does not know its path.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        decay, rate = self._decay_and_rate(path)
        if decay:
            gradient = gradient + keras.ops.cast(decay * variable, gradient.dtype)
        if rate != 1:
            learning_rate = learning_rate * rate
        super().update_step(gradient, variable, learning_rate)

    def _decay_and_rate(self, path: str) -> tuple[float, float]:
        """`d` and `r` of the variable at `path`."""
        *_, layer, name = ("", *path.split("/"))
        is_head = layer in (self.heads or (TARGET, SOURCE))
        is_head_bias = is_head and name == "bias"
        decays = self.decay_head_biases if is_head_bias else self.decay_bn or name not in ("gamma", "beta")
        rate = self.head_bias_learning_rate if is_head_bias else 1.0 if is_head else self.trunk_learning_rate
        return self.coupled_weight_decay if decays else 0.0, rate

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        own = (
            "coupled_weight_decay", "decay_head_biases", "decay_bn", "trunk_learning_rate", "head_bias_learning_rate",
            "heads",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def caffe_sgd(learning_rate: Any, *, weight_decay: float = 1e-4, **settings: Any) -> CaffeSGD:
    """The authors' optimizer: momentum SGD with weight decay coupled as in Caffe.

    Args:
        learning_rate: a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        weight_decay: added to the gradient as `weight_decay * w`; 1e-4 in the paper.
        settings: of `CaffeSGD`, whose defaults are the paper's; the authors' code has `head_bias_learning_rate=2`.
    """
    return CaffeSGD(learning_rate, coupled_weight_decay=weight_decay, **settings)


def learning_rate_schedule(kind: str, learning_rate: float, steps: int, *, lr_step: int | None = None) -> Any:
    """The learning rate over `steps` updates.

    Args:
        kind: `step` (falls to a tenth, again and again), `cosine` (down to 0) or `constant`.
        learning_rate: at the first update.
        steps: how many updates it spans.
        lr_step: of `step`: updates from one fall to the next, also beyond `steps`, as of Caffe's step policy; after the
            twelfth the rate stays. Without it, the rate falls after the first and the second third of `steps`.
    """
    if kind == "constant":
        return learning_rate
    if kind == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=steps)
    falls = [-(-steps // 3), -(-2 * steps // 3)] if lr_step is None else [n * lr_step for n in range(1, 13)]
    # PiecewiseConstantDecay keeps a value up to and including its boundary.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [fall - 1 for fall in falls], [learning_rate / 10**n for n in range(len(falls) + 1)]
    )
