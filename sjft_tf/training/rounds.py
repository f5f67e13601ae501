"""The callback that ends a round: it looks at every target image and lets the hard ones borrow more."""

import logging

import keras
import numpy as np

from sjft_tf.domains import Domain
from sjft_tf.selection import Selection, entropy
from sjft_tf.training.prediction import predict

logger = logging.getLogger(__name__)


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
        probabilities = predict(
            self.model, self.target, image_size=self.image_size, batch_size=self.batch_size
        )  # fmt: skip
        self._steps_done += self.params["steps"] or 0
        self.entropies = entropy(probabilities).astype(np.float32)
        self.correct = probabilities.argmax(axis=-1) == self.target.labels
        ended = self.selection.round + 1
        outcome = self.selection.advance(self.entropies, self.correct, first_step=self._steps_done)
        reachable = self.selection.reachable
        logger.info(
            "after round %d: of %d target images %d wrong, %d uncertain, %d settled%s",
            ended, len(self.target), outcome.n_wrong, outcome.n_uncertain, outcome.n_settled,
            f"; {reachable} source images now in reach" if reachable else "",
        )  # fmt: skip
        if logs is not None:
            logs["wrong"], logs["uncertain"], logs["settled"] = outcome.n_wrong, outcome.n_uncertain, outcome.n_settled
            logs["reachable"] = reachable
