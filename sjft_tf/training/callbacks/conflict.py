"""Whether the domains pull the trunk the same way, after every round."""

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.training.callbacks.plain import plain_model
from sjft_tf.training.conflict import gradient_conflict


class GradientConflict(keras.callbacks.Callback):
    """Measures after every epoch how the two losses' gradients on the trunk lie to each other, on the round's first batch.

    The epoch's logs gain `target_gradient`, `source_gradient` (norms) and `gradient_cosine`, unless they are not finite.
    Must come before `NeighborExpansion`, which begins the next round.

    Args:
        data: the training's dataset.
    """

    def __init__(self, data: tf.data.Dataset) -> None:
        super().__init__()
        self.data = data

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure."""
        found = gradient_conflict(plain_model(self), next(iter(self.data.take(1))))
        if logs is not None and np.isfinite(found).all():
            logs["target_gradient"], logs["source_gradient"] = found.target_norm, found.source_norm
            logs["gradient_cosine"] = found.cosine
