"""Batch normalization measured again on target images, after every round."""

import keras

from sjft_tf.domains import Domain, image_batches
from sjft_tf.images import center_view
from sjft_tf.models import recalibrate_batch_normalization
from sjft_tf.training.callbacks.plain import plain_model


class BatchNormalizationRecalibration(keras.callbacks.Callback):
    """After every epoch, sets the moving averages to the statistics of the un-augmented target images.

    For a model made with `bn="recalibrate"`. Must come before the callbacks that predict.

    Args:
        target: the target domain.
        image_size: pixels.
        batch_size: images a forward pass.
    """

    def __init__(self, target: Domain, image_size: int, *, batch_size: int = 64) -> None:
        super().__init__()
        self.target, self.image_size, self.batch_size = target, image_size, batch_size

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure."""
        views = image_batches(
            self.target, lambda image: center_view(image, self.image_size), batch_size=self.batch_size
        )
        plain = plain_model(self)
        recalibrate_batch_normalization(plain, views)
        if plain is not self.model:
            self.model.set_weights(plain.get_weights())
