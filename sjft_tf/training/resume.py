"""The callback by which a `fit` that was killed goes on with the same weights as one that was not."""

import logging
import os

import keras

from sjft_tf.selection import Selection
from sjft_tf.training.checkpoint import Position, load_checkpoint, save_checkpoint, training_state

logger = logging.getLogger(__name__)


class Checkpoints(keras.callbacks.Callback):
    """Keeps weights, optimizer, K, round and step in one file, and goes on from it when it is made.

    The file holds one state, the last, and is replaced at once, so that a kill at any moment leaves a whole one. Fit
    round by round, so that a round can begin in its middle:

        checkpoints = Checkpoints("checkpoint.npz", model, selection)
        for round in range(checkpoints.round, 5):
            data = joint_dataset(target, source, selection, steps=3200, first_step=checkpoints.step)
            callbacks = [NeighborExpansion(selection, target), checkpoints]
            model.fit(data, epochs=round + 1, initial_epoch=round, callbacks=callbacks)

    Must come after `NeighborExpansion` among the callbacks. On a CPU the weights are the same to the bit. The logs of a
    round that was interrupted are those of its remaining steps.

    Args:
        path: an `.npz` file.
        model: compiled.
        selection: the one that the dataset draws by.
        every: steps after which the state is saved within a round; it is saved at the end of each, too.

    Raises:
        InputError: the file is of another model or selection, or cannot be written.

    Attributes:
        round: number of the present round, from 0.
        step: steps of it that are done.
    """

    def __init__(
        self, path: str | os.PathLike[str], model: keras.Model, selection: Selection, *, every: int = 200
    ) -> None:
        super().__init__()
        self.path, self.selection, self.every = path, selection, every
        begin = load_checkpoint(path, model, selection) or Position()
        self.round, self.step = begin.round, begin.step
        if self.round or self.step:
            logger.info("%s: going on after step %d of round %d", path, self.step, self.round + 1)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note where the round begins."""
        self._first = self.step

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save, if it is time."""
        before, self.step = self.step, self._first + batch + 1
        is_last = batch + 1 == self.params["steps"]  # its end is saved when K has grown
        if self.step // self.every > before // self.every and not is_last:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the end of the round."""
        self.round, self.step = epoch + 1, 0
        self._save()

    def _save(self) -> None:
        save_checkpoint(self.path, training_state(self.model, self.selection), Position(self.round, self.step))
