"""What a training does that is asked to stop."""

import keras

from sjft_tf.preemption import Asked
from sjft_tf.training.callbacks.checkpoint import Checkpoint


class Preemption(keras.callbacks.Callback):
    """On SIGTERM or Ctrl-C lets the step end, saves, and then does what the signal would have done.

        with noting() as asked:
            model.fit(data, epochs=5, callbacks=[..., checkpoint, Preemption(asked, checkpoint)])

    It raises rather than set `stop_training`, by which `fit` would return, and a script would export what is half trained.
    A signal in the last step of a round is kept until the round has ended; while it ends, signals work at once.

    Args:
        asked: from `sjft_tf.preemption.noting`.
        checkpoint: among the callbacks before this one.

    Raises:
        Preempted, KeyboardInterrupt: the process was asked to stop; the steps until then are in the checkpoint.
    """

    def __init__(self, asked: Asked, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.asked, self.checkpoint = asked, checkpoint

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """From now on a step is not interrupted."""
        self.asked.waits = True

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop, if asked."""
        if self.checkpoint.step == self.params["steps"]:
            self.asked.waits = False
        elif self.asked:
            self.checkpoint.save()
            self.asked.raise_if()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop, if asked in the last step."""
        self.asked.raise_if()
