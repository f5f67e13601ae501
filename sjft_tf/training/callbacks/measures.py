"""What is measured after every round: batch normalization on target images, gradients of the two losses, validation."""

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, image_batches
from sjft_tf.evaluation import accuracy, mean_class_accuracy
from sjft_tf.images import center_view
from sjft_tf.inference import predict
from sjft_tf.models import recalibrate_batch_normalization
from sjft_tf.training.callbacks.averages import copy_averages
from sjft_tf.training.conflict import gradient_conflict


def plain_model(callback: keras.callbacks.Callback) -> keras.Model:
    """The callback's model; with several workers, whose model Keras cannot predict with, a copy that takes its weights."""
    plain = callback.params.get("plain")
    if plain is None:
        return callback.model
    plain.set_weights(callback.model.get_weights())
    copy_averages(callback.model, plain)
    return plain


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


class ValidationAccuracy(keras.callbacks.Callback):
    """After every epoch, the target head's accuracy on the un-augmented images of a domain.

    The epoch's logs gain `val_accuracy` and `val_mean_class_accuracy`, by which Keras' `ModelCheckpoint` and `EarlyStopping`
    behind this can choose.

    Args:
        validation: images in the target's label space.
        image_size, batch_size: as in `predict`.
    """

    def __init__(self, validation: Domain, *, image_size: int | None = None, batch_size: int = 64) -> None:
        super().__init__()
        self.validation, self.image_size, self.batch_size = validation, image_size, batch_size

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Predict."""
        probabilities = predict(
            plain_model(self), self.validation, image_size=self.image_size, batch_size=self.batch_size
        )
        labels, predictions = self.validation.labels, probabilities.argmax(axis=-1)
        if logs is not None:
            logs["val_accuracy"] = accuracy(labels, predictions)
            logs["val_mean_class_accuracy"] = mean_class_accuracy(labels, predictions, probabilities.shape[-1])
