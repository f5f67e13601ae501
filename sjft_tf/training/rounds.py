"""What ends a round: a look at every target image, and the hard ones may borrow more."""

import dataclasses
import logging

import keras
import numpy as np

from sjft_tf.domains import Domain
from sjft_tf.inference import predict
from sjft_tf.selection import Outcome, Selection, entropy

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class RoundEnd:
    """What a model made of the target images after a round.

    Attributes:
        entropies: `[n_target]` float32, Eq. (2), in nats.
        correct: `[n_target]` bool, whether the top class is the label.
        outcome: how many were wrong, uncertain and settled.
    """

    entropies: np.ndarray
    correct: np.ndarray
    outcome: Outcome


def end_round(
    model: keras.Model,
    selection: Selection,
    target: Domain,
    *,
    image_size: int | None = None,
    batch_size: int = 64,
    first_step: int = 0,
) -> RoundEnd:
    """Predict the un-augmented target images, and advance the selection by Eq. (2) and (3).

    Args:
        model: with an output `target`.
        selection: the one that the dataset draws by.
        target: the target domain, in the order of the selection.
        image_size: pixels; None: the model's input size.
        batch_size: images a forward pass.
        first_step: the training step from which the new K holds, see `Selection.advance`.
    """
    probabilities = predict(model, target, image_size=image_size, batch_size=batch_size)
    entropies = entropy(probabilities).astype(np.float32)
    correct = probabilities.argmax(axis=-1) == target.labels
    return RoundEnd(entropies, correct, selection.advance(entropies, correct, first_step=first_step))


class NeighborExpansion(keras.callbacks.Callback):
    """After every epoch, gives wrong and uncertain target images more neighbors (one epoch is one round).

    Predicts the un-augmented target images with the head `target`, and advances the selection by Eq. (2) and (3).
    The epoch's logs gain `wrong`, `uncertain`, `settled` (target images) and `reachable` (distinct source images that
    the next round may draw), so that `History` and TensorBoard have them.

    Args:
        selection: the one that the dataset draws by.
        target: the target domain, in the order of the selection.
        image_size: pixels; None: the model's input size.
        batch_size: images a forward pass.

    Raises:
        InputError: the selection is for another number of images.

    Attributes:
        entropies: `[n_target]` float32, in nats, after the last round; None before.
        correct: `[n_target]` bool, likewise.
    """

    def __init__(
        self, selection: Selection, target: Domain, *, image_size: int | None = None, batch_size: int = 64
    ) -> None:
        super().__init__()
        selection.check_target(target.name, len(target))
        self.selection, self.target = selection, target
        self.image_size, self.batch_size = image_size, batch_size
        self.entropies: np.ndarray | None = None
        self.correct: np.ndarray | None = None
        self._steps_done = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Count steps from 0, as a dataset that begins does."""
        self._steps_done = 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """End the round."""
        self._steps_done += self.params["steps"] or 0
        end = end_round(
            self.model, self.selection, self.target,
            image_size=self.image_size, batch_size=self.batch_size, first_step=self._steps_done,
        )  # fmt: skip
        self.entropies, self.correct = end.entropies, end.correct
        found, reachable = end.outcome, self.selection.reachable
        logger.info(
            "after round %d: of %d target images %d wrong, %d uncertain, %d settled%s",
            self.selection.round, len(self.target), found.n_wrong, found.n_uncertain, found.n_settled,
            f"; {reachable} source images now in reach" if reachable else "",
        )  # fmt: skip
        if logs is not None:
            logs["wrong"], logs["uncertain"], logs["settled"] = found.n_wrong, found.n_uncertain, found.n_settled
            logs["reachable"] = reachable
