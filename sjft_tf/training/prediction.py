"""What the target head says of a domain's images, un-augmented."""

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, center_view, image_batches
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress


def predict(
    model: keras.Model,
    domain: Domain,
    *,
    image_size: int | None = None,
    batch_size: int = 64,
    flip: bool = False,
    progress: Progress | None = None,
) -> np.ndarray:
    """Class probabilities of every image of a domain, in the domain's order.

    Args:
        model: its output, or its output `target`, is logits.
        domain: the images; each is seen by its center view.
        image_size: pixels; None: the model's input size.
        batch_size: images a forward pass.
        flip: average the probabilities with those of the mirrored view.
        progress: told after each batch.

    Returns:
        `[n, n_classes]` float32, rows sum to 1. Computed in inference mode, the softmax in float32.
    """
    size = image_size or model_image_size(model)
    images = image_batches(domain, lambda image: center_view(image, size), batch_size=batch_size)
    probabilities = _probabilities(model, images, progress, len(domain), batch_size)
    if flip:
        mirrored = images.map(tf.image.flip_left_right)
        probabilities = (probabilities + _probabilities(model, mirrored, None, len(domain), batch_size)) / 2
    return probabilities


def model_image_size(model: keras.Model) -> int:
    """Side in pixels of the images that a model takes.

    Raises:
        InputError: it takes images of any size.
    """
    side = model.inputs[0].shape[1]
    if side is None:
        raise InputError(f"model {model.name!r} takes images of any size; give image_size, in pixels")
    return int(side)


def _probabilities(
    model: keras.Model, images: tf.data.Dataset, progress: Progress | None, total: int, batch_size: int
) -> np.ndarray:
    callbacks = []
    if progress is not None:
        callbacks.append(
            keras.callbacks.LambdaCallback(
                on_predict_batch_end=lambda batch, logs: progress(min((batch + 1) * batch_size, total), total)
            )
        )
    outputs = model.predict(images, verbose=0, callbacks=callbacks)
    logits = outputs["target"] if isinstance(outputs, dict) else outputs
    return tf.nn.softmax(tf.cast(logits, tf.float32)).numpy()
