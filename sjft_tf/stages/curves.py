"""Loss curves of a round from what Keras logs while it trains."""

import keras
import numpy as np

from sjft_tf.progress import Progress

POINTS = 50


class LossCurves(keras.callbacks.Callback):
    """Keeps each head's mean loss over about `POINTS` stretches of a round; tells how far the round is.

    Keras logs the mean since the round began; differences of its sums give the mean of each stretch.
    """

    def __init__(self, steps: int, progress: Progress | None) -> None:
        super().__init__()
        self.steps, self.progress = steps, progress
        self.stretch = max(1, steps // POINTS)
        self._logged: list[tuple[int, dict[str, float]]] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note the running means at the end of each stretch."""
        done = batch + 1
        if done % self.stretch == 0 or done == self.steps:
            # Metrics of a model with a single output carry no head in their name.
            named = {key if "_" in key and key.split("_")[0] in ("target", "source") else f"target_{key}": float(value)
                     for key, value in (logs or {}).items()}  # fmt: skip
            self._logged.append((done, named))
            if self.progress is not None:
                self.progress(done, self.steps)

    def means(self) -> dict[str, float | None]:
        """Loss and accuracy of both heads over the whole round; None for a head that was not trained."""
        last = self._logged[-1][1]
        return {
            f"{head}_{name}": last.get(f"{head}_{key}")
            for head in ("target", "source")
            for name, key in (("loss", "cross_entropy"), ("accuracy", "accuracy"))
        }

    def curve(self) -> dict[str, list]:
        """Steps, and each trained head's mean loss over the stretch that ends there."""
        steps = np.array([0] + [step for step, _ in self._logged])
        curve: dict[str, list] = {"step": steps[1:].tolist()}
        for head in ("target", "source"):
            key = f"{head}_cross_entropy"
            if key in self._logged[-1][1]:
                sums = np.array([0.0] + [step * means[key] for step, means in self._logged])
                curve[head] = (np.diff(sums) / np.diff(steps)).round(4).tolist()
        return curve
