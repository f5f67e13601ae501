"""Losses and accuracies of a round, stretch by stretch of its steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sjft_tf.models import HEADS

POINTS = 50
METRICS = ("accuracy", "cross_entropy")


class LossCurves:
    """Mean loss and accuracy of each head over about `POINTS` stretches of a round.

    Args:
        steps: of the round.
        noted: stretches noted before training was interrupted, as `self.noted` held them.
    """

    def __init__(self, steps: int, noted: list | None = None) -> None:
        self.steps, self.stretch = steps, max(1, steps // POINTS)
        self.noted: list[tuple[int, dict[str, float]]] = [(step, means) for step, means in noted or []]

    def is_due(self, done: int) -> bool:
        """Whether a stretch ends after `done` steps."""
        return done % self.stretch == 0 or done == self.steps

    def note(self, done: int, means: Mapping[str, Any]) -> None:
        """Note the means since the last note, as Keras calls them, after `done` steps."""
        # metrics of a model with a single output carry no head in their name
        found = {f"{head}_{name}": means.get(f"{head}_{name}", means.get(name)) for head in HEADS for name in METRICS}
        heads = HEADS if "source_accuracy" in means else HEADS[:1]
        self.noted.append((done, {key: float(value) for key, value in found.items() if key.startswith(heads)}))

    def means(self) -> dict[str, float | None]:
        """Loss and accuracy of both heads over the whole round; None for a head that was not trained."""
        return {
            f"{head}_{name}": self._mean(f"{head}_{key}")
            for head in HEADS
            for name, key in (("loss", "cross_entropy"), ("accuracy", "accuracy"))
        }

    def curve(self) -> dict[str, list]:
        """Steps, and each trained head's mean loss over the stretch that ends there."""
        curve: dict[str, list] = {"step": [step for step, _ in self.noted]}
        for head in HEADS:
            key = f"{head}_cross_entropy"
            if key in self.noted[-1][1]:
                curve[head] = [round(means[key], 4) for _, means in self.noted]
        return curve

    def _mean(self, key: str) -> float | None:
        if key not in self.noted[-1][1]:
            return None
        lengths = np.diff([0] + [step for step, _ in self.noted])
        return float(np.average([means[key] for _, means in self.noted], weights=lengths))
