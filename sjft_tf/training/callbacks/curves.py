"""The losses within a round, stretch by stretch of its steps."""

from typing import Any

import keras
import numpy as np

from sjft_tf.errors import Diverged
from sjft_tf.training.objectives import MEAN_LOSS

POINTS = 50


class LossCurves(keras.callbacks.Callback):
    """Notes the mean loss of each term over about `POINTS` stretches of every round.

    For a `JointModel` with the metrics of its terms. Give it to `Checkpoint(kept=...)`, and a resumed round has the same.

    Raises:
        Diverged: a loss is no finite number any more: training has diverged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.restore({"step": 0, "noted": []})

    def state(self) -> dict[str, Any]:
        """What `restore` needs: steps done, and at the end of each stretch the running means since the round began."""
        return {"step": self._step, "noted": self._noted}

    def restore(self, state: dict[str, Any]) -> None:
        """Return to that state."""
        self._first = self._step = state["step"]
        self._noted: list[tuple[int, dict[str, float]]] = [(step, means) for step, means in state["noted"]]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin with no stretch."""
        self._round = epoch + 1
        self.restore({"step": 0, "noted": []})

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note the running means, if a stretch ends."""
        self._step = self._first + batch + 1
        steps = self.params["steps"]
        if self._step % max(1, (steps or 0) // POINTS) == 0 or self._step == steps:
            means = {name: float(value) for name, value in self.model.get_metrics_result().items()}
            if not np.isfinite(means["loss"]):
                rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
                raise Diverged(
                    f"training diverged in round {self._round}: the loss is no finite number by step {self._step}; the "
                    f"learning rate is {rate:g}, take a lower one"
                )
            losses = {term.name: means[f"{term.name}_{MEAN_LOSS}"] for term in self.model.terms}
            self._noted.append((self._step, losses))

    def curve(self) -> dict[str, list]:
        """Steps, and by term the mean loss over the stretch that ends there; of the present round."""
        steps = np.array([0, *(step for step, _ in self._noted)])
        curve: dict[str, list] = {"step": steps[1:].tolist()}
        for name in self._noted[-1][1] if self._noted else ():
            sums = steps * np.array([0.0, *(means[name] for _, means in self._noted)])
            curve[name] = np.round(np.diff(sums) / np.diff(steps), 4).tolist()
        return curve
