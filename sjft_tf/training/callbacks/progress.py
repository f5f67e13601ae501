"""Steps done, for whoever shows them."""

import keras

from sjft_tf.progress import Progress
from sjft_tf.training.callbacks.checkpoint import Checkpoint


class TrainingProgress(keras.callbacks.Callback):
    """Tells a `Progress` after each step how many of all rounds' are done.

    Args:
        progress: is told.
        checkpoint: among the callbacks before this one; knows the step.
    """

    def __init__(self, progress: Progress, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.progress, self.checkpoint = progress, checkpoint

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Tell."""
        steps = self.params["steps"]
        self.progress(self.checkpoint.round * steps + self.checkpoint.step, self.params["epochs"] * steps)
