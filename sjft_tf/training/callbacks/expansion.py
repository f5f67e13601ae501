"""What ends a round: a look at every target image, and the hard ones may borrow more."""

from typing import Any

import keras
import numpy as np

from sjft_tf.domains import Domain
from sjft_tf.errors import Diverged
from sjft_tf.inference import predict
from sjft_tf.selection import Selection, entropy
from sjft_tf.training.callbacks.measures import plain_model


class NeighborExpansion(keras.callbacks.Callback):
    """After every epoch, gives wrong and uncertain target images more neighbors (one epoch is one round).

    Predicts the un-augmented target images with the head `target`, and advances the selection by Eq. (2) and (3).
    The epoch's logs gain `wrong`, `uncertain`, `settled` (target images) and `reachable` (distinct source images that
    the next round may draw), so that `History` and TensorBoard have them. Other callbacks of the same training find the
    selection as `params["selection"]`.

    Args:
        selection: the one that the dataset draws by.
        target: the target domain, in the order of the selection.
        image_size, batch_size: as in `predict`.

    Raises:
        InputError: the selection is for another domain.
        Diverged: the model's answers are no finite numbers.

    Attributes:
        entropies: `[n_target]` float32, in nats, after the last round; None before.
        correct: `[n_target]` bool, likewise.
    """

    def __init__(
        self, selection: Selection, target: Domain, *, image_size: int | None = None, batch_size: int = 64
    ) -> None:
        super().__init__()
        selection.check(target)
        self.selection, self.target = selection, target
        self.image_size, self.batch_size = image_size, batch_size
        self.entropies: np.ndarray | None = None
        self.correct: np.ndarray | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell the other callbacks of the selection."""
        super().set_params(params)
        params["selection"] = self.selection

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """End the round."""
        probabilities = predict(plain_model(self), self.target, image_size=self.image_size, batch_size=self.batch_size)
        self.entropies = entropy(probabilities).astype(np.float32)
        if not np.isfinite(self.entropies).all():
            raise Diverged(
                f"training diverged in round {epoch + 1}: the model answers with numbers that are not finite; take a lower "
                "learning rate"
            )
        self.correct = probabilities.argmax(axis=-1) == self.target.labels
        found = self.selection.advance(self.entropies, self.correct)
        if logs is not None:
            logs["wrong"], logs["uncertain"], logs["settled"] = found.n_wrong, found.n_uncertain, found.n_settled
            logs["reachable"] = self.selection.reachable
