"""What the target head says of a domain's images, un-augmented."""

import keras
import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, image_batches, read_encoded
from sjft_tf.errors import InputError
from sjft_tf.images import CROPS, crops, decode, resize_short_side, short_sides
from sjft_tf.inference.dense import dense_probabilities
from sjft_tf.progress import Progress

_WINDOW = 8  # batches within which images of one shape find each other


def predict(
    model: keras.Model,
    domain: Domain,
    *,
    image_size: int | None = None,
    batch_size: int = 64,
    view: str = "center",
    progress: Progress | None = None,
) -> np.ndarray:
    """Class probabilities of every image of a domain, in the domain's order: the mean over the crops or scales of a view.

    Args:
        model: its output, or its output `target`, is logits.
        domain: the images.
        image_size: S, in pixels; None: the model's input size.
        batch_size: crops a forward pass. Of whole images, as many as have the pixels of so many crops.
        view: `"center"`; `"flip"`, with its mirror image; `"ten"`, the corners, the center and their mirror images
            (see `views.crops`); `"multiscale"`, whole images with shorter sides of 1, 8/7, 12/7, 15/7 and 20/7 of S,
            twice as long as wide at most, to which the model is applied at every position (see `dense`); it runs on
            one device, and only where images have few shapes in large batches.
        progress: told after each batch, in images; of several scales, in images' worth of pixels.

    Returns:
        `[n, n_classes]` float32, rows sum to 1. Computed in inference mode, the softmax in float32.

    Raises:
        InputError: unknown view or image size, or a model that has no fully convolutional form for `"multiscale"`.
    """
    size = image_size or model.inputs[0].shape[1]
    if size is None:
        raise InputError(f"model {model.name!r} takes images of any size; give image_size, in pixels")
    if view == "multiscale":
        return _over_scales(model, domain, size, batch_size, progress)
    if view not in CROPS:
        raise InputError(f"view is {view!r}; it must be one of {', '.join(map(repr, CROPS))}, 'multiscale'")
    return _over_crops(model, domain, size, batch_size, view, progress)


def _over_crops(
    model: keras.Model, domain: Domain, size: int, batch_size: int, view: str, progress: Progress | None
) -> np.ndarray:
    n_crops, n = CROPS[view], len(domain)
    images_a_batch = max(1, batch_size // n_crops)
    batches = image_batches(domain, lambda image: crops(image, size, view), batch_size=images_a_batch)
    batches = batches.map(lambda views: tf.reshape(views, (-1, size, size, 3)))
    if n_crops > 1:
        n_batches = -(-n * n_crops // batch_size)
        rebatched = batches.unbatch().batch(batch_size)
        batches = rebatched.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(1)
    callbacks = []
    if progress is not None:

        def tell(batch: int, logs: dict | None) -> None:
            progress(min((batch + 1) * batch_size // n_crops, n), n)

        callbacks.append(keras.callbacks.LambdaCallback(on_predict_batch_end=tell))
    outputs = model.predict(batches, verbose=0, callbacks=callbacks)
    logits = outputs["target"] if isinstance(outputs, dict) else outputs
    probabilities = tf.nn.softmax(tf.cast(logits, tf.float32)).numpy()
    return probabilities if n_crops == 1 else probabilities.reshape(n, n_crops, -1).mean(axis=1)


def _over_scales(
    model: keras.Model, domain: Domain, size: int, batch_size: int, progress: Progress | None
) -> np.ndarray:
    probabilities, sides, n = dense_probabilities(model, size), short_sides(size), len(domain)
    summed: np.ndarray | None = None
    seen, total = 0, n * sum(side**2 for side in sides)
    for side, indices, images in _whole_images(domain, sides, batch_size * size**2):
        try:
            answers = probabilities(images).numpy()
        except tf.errors.InvalidArgumentError as error:
            height, width = images.shape[1:3]
            raise InputError(
                f"model {model.name!r} cannot be applied to images of {width} x {height} pixels, as view "
                "'multiscale' does: its layers do not fit together at that size"
            ) from error
        summed = np.zeros((n, answers.shape[1]), np.float32) if summed is None else summed
        summed[indices.numpy()] += answers
        seen += len(indices) * int(side) ** 2
        if progress is not None:
            progress(n * seen // total, n)
    assert summed is not None
    return summed / len(sides)


def _whole_images(domain: Domain, sides: list[int], pixels: int) -> tf.data.Dataset:
    """Every image at every scale, one scale after the other, in batches of images of one shape and about `pixels`.

    Images of one shape find each other among `_WINDOW` batches, so memory is bounded whatever the shapes. Elements are the
    shorter side, indices `[b]` and images `[b, H, W, 3]` float32.
    """

    def at_scale(side: tf.Tensor, batch_size: tf.Tensor) -> tf.data.Dataset:
        dataset = tf.data.Dataset.range(len(domain)).batch(batch_size)
        dataset = dataset.map(lambda batch: (batch, read_encoded(domain, batch))).prefetch(1).unbatch()
        dataset = dataset.map(
            lambda index, encoded: (
                side,
                index,
                resize_short_side(decode(encoded, in_model=False), tf.cast(side, tf.float64)),
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.window(_WINDOW * batch_size).flat_map(
            lambda *parts: tf.data.Dataset.zip(parts).group_by_window(
                lambda side, index, image: _shape_key(image),
                lambda key, group: group.batch(batch_size),
                window_size=batch_size,
            )
        )

    batch_sizes = [max(1, pixels // side**2) for side in sides]
    scales = tf.data.Dataset.from_tensor_slices((np.array(sides, np.int64), np.array(batch_sizes, np.int64)))
    batches = scales.flat_map(at_scale)
    return batches.map(lambda sides, indices, images: (sides[0], indices, images)).prefetch(1)


def _shape_key(image: tf.Tensor) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.shape(image, out_type=tf.int64))
    return height * 2**32 + width
