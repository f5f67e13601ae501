"""Accuracy on validation images, after every round."""

import keras

from sjft_tf.domains import Domain
from sjft_tf.evaluation import accuracy, mean_class_accuracy
from sjft_tf.inference import predict
from sjft_tf.training.callbacks.plain import plain_model


class ValidationAccuracy(keras.callbacks.Callback):
    """After every epoch, the target head's accuracy on the un-augmented images of a domain.

    The epoch's logs gain `val_accuracy` and `val_mean_class_accuracy`, by which Keras' `ModelCheckpoint` and `EarlyStopping`
    behind this can choose.

    Args:
        validation: images in the target's label space.
        image_size: pixels; None: the model's input size.
        batch_size: images a forward pass.
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
