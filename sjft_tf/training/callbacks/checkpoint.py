"""The callback by which a killed `fit` resumes with the weights of one that was not, and one that tells of its steps."""

import logging
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.selection import Selection
from sjft_tf.training import checkpoint
from sjft_tf.training.checkpoint import Saved

logger = logging.getLogger(__name__)


class Checkpoint(keras.callbacks.Callback):
    """Keeps all that training changes in one file, and resumes from it.

    The same script, started again, resumes where it was killed:

        model.fit(data, epochs=5, callbacks=[NeighborExpansion(selection, target), Checkpoint("checkpoint.npz")])

    The file holds one state, the last, and is replaced at once, so that a kill at any moment leaves a whole one. It is read
    when the callback is made, and put back when training begins: weights, optimizer, running metrics, K, and the history of
    the rounds before. The dataset, when the epoch begins, asks the selection for the step (`Selection.first_step`), which is
    set from here; so a round resumes in its middle. On a CPU weights, K, optimizer and history are in the end the same, bit
    for bit, as without the kill.

    Must come after `NeighborExpansion` among the callbacks, and before those that stop training at the end of an epoch. A
    `JointModel` begins with the right epoch by itself; with another model give `fit(initial_epoch=checkpoint.round)`.

    Args:
        path: an `.npz` file.
        selection: the one that the dataset draws by; None: that of `NeighborExpansion`.
        every: steps after which the state is saved within a round; it is saved at the end of each, too.
        kept: other callbacks whose `state()`, JSON, is saved and given back to their `restore`.
        made_from: a hash of what the training depends on; a file with another one is not resumed from.
        round: a file of another round than this is not resumed from; None: of any.
        writes: whether this process writes the file; of several workers one does.

    Raises:
        InputError: the file is of another model or selection, or cannot be written; or training begins with another epoch
            than the file stands in.

    Attributes:
        round: number of the present round, from 0.
        step: steps of it that are done.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        selection: Selection | None = None,
        *,
        every: int = 200,
        kept: Mapping[str, Any] | None = None,
        made_from: str = "",
        round: int | None = None,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.path, self.every = path, every
        self.selection: Any = selection  # once training has begun there is one
        self.kept, self.made_from, self.writes = dict(kept or {}), made_from, writes
        saved = checkpoint.read_checkpoint(path, made_from=made_from)
        self._saved = saved if saved is None or round in (None, saved.round) else None
        self.round, self.step = (self._saved.round, self._saved.step) if self._saved is not None else (round or 0, 0)
        self._logs: list[dict] = self._saved.notes["logs"] if self._saved is not None else []
        self._cut = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Restore what the file holds, and the history of the rounds before."""
        self.selection = self.selection or self.params.get("selection")
        if self.selection is None:
            raise InputError(f"the checkpoint {self.path} needs the selection: give it, or NeighborExpansion beside it")
        checkpoint.build_variables(self.model)
        if self._saved is not None:
            logger.info("%s: resuming after step %d of round %d", self.path, self.step, self.round + 1)
            self._restore(self._saved)
        for entry in self._logs:
            for name, value in entry.items():
                self.model.history.history.setdefault(name, []).append(value)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Within a round, restore once more what the beginning of an epoch resets."""
        if epoch != self.round:
            raise InputError(
                f"{self.path} stands in round {self.round + 1}, and training begins with {epoch + 1}; give "
                "fit(initial_epoch=checkpoint.round)"
            )
        self._first = self.step
        if self._saved is not None and self.step:
            self._restore(self._saved)
            self.selection.first_step = self.step
        self._saved = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save, if it is time; and end a resumed epoch where its round ends."""
        self.selection.first_step = 0
        before, self.step = self.step, self._first + batch + 1
        if self.step == self.params["steps"]:  # what ends the round follows, and then it is saved
            self._cut = self._first > 0 and not self.model.stop_training
            self.model.stop_training |= self._cut
        elif self.step // self.every > before // self.every:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the end of the round."""
        if self._cut:  # it was to end this epoch alone
            self.model.stop_training = self._cut = False
        self.round, self.step = epoch + 1, 0
        self._logs.append({name: value for name, value in (logs or {}).items() if isinstance(value, int | float)})
        self.save()

    def save(self) -> None:
        """Write the present state; all of several workers must call this."""
        state = checkpoint.training_state(self.model, self.selection)
        if self.writes:
            notes = {"logs": self._logs, "kept": {name: keeper.state() for name, keeper in self.kept.items()}}
            saved = Saved(self.round, self.step, notes, state)
            checkpoint.save_checkpoint(self.path, saved, made_from=self.made_from)

    def _restore(self, saved: Saved) -> None:
        checkpoint.restore(saved, self.model, self.selection, path=self.path)
        for name, keeper in self.kept.items():
            keeper.restore(saved.notes["kept"][name])


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


def first_epoch(callbacks: Any, otherwise: int) -> int:
    """The epoch to begin with: that of a `Checkpoint` among the callbacks, given as `fit` takes them."""
    held = tf.nest.flatten(getattr(callbacks, "callbacks", callbacks))
    return next((callback.round for callback in held if isinstance(callback, Checkpoint)), otherwise)
