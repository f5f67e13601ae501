"""The `tf.data` pipeline: target images interleaved with source images drawn for them."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, read_encoded
from sjft_tf.errors import InputError, check_at_least
from sjft_tf.selection import Selection
from sjft_tf.training.augmentation import GEOMETRIES, augmented_crop, recolored
from sjft_tf.training.objectives import Term, has_source, joint_terms, masks
from sjft_tf.training.sampling import NUMBERS, TARGET_SAMPLINGS, sample_batch


@dataclasses.dataclass(frozen=True)
class Shard:
    """One worker's share of every batch: equal stretches of its rows, in the order of the workers.

    Attributes:
        worker, workers: which one, of how many.
        replicas: the worker's own; its dataset yields a batch for each of them in turn.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1


def joint_dataset(
    target: Domain,
    source: Domain | None,
    selection: Selection,
    *,
    steps: int,
    batch_size: int = 20,
    iter_size: int = 1,
    image_size: int = 224,
    terms: Sequence[Term] | None = None,
    seed: int = 0,
    geometry: str = "scale",
    color: float = 0.0,
    pca_noise: float = 0.1,
    target_sampling: str = "uniform",
    max_per_class: int | None = None,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """One round for a joint model: target images, and for each of them one of the source images that it may draw.

    Each pass over the target visits every image once. Rows are interleaved T, S, T, S, so that any even split over
    replicas holds both domains in equal number. A row's weight is 0 for a term that it does not belong to, and its label
    there a valid dummy, 0. What the loss of a `JointModel` then is says `joint_terms`; any other Keras model, compiled with
    the losses alone, has `0.5 mean(target) + 0.5 mean(source)`.
    In selection mode `none` a batch holds the `batch_size / 2` target images alone.

    What a step holds is a pure function of (seed, round, step) and K. An iteration over the dataset is one epoch of `fit`:
    when it begins it asks the selection for the round, and for the step of it to begin at, which is 0 unless a `Checkpoint`
    has restored another. It has `steps` elements in any case, because Keras wants to know how many; `Checkpoint` ends a
    resumed epoch where its round ends.

    Args:
        target, source: the domains; the source is not used in mode `none`.
        selection: says which source images each target image may draw; its K may change between rounds.
        steps: updates of a round.
        batch_size: rows of a batch, even.
        iter_size: batches for one update, whose rows lie in one batch of `iter_size * batch_size`; for a `JointModel` with
            the same `iter_size`. Its i-th batch has every `iter_size`-th pair of a target and a source row.
        image_size: side of the images in pixels.
        terms: the model's objective, `model.terms`; None: the two of the paper.
        seed: decides order, draws and augmentation.
        geometry: of the random crop, see `augmented_crop`.
        color, pca_noise: strength of changes of color, see `recolored`.
        target_sampling: `"level"` shows a target image K / k0 times a pass, as the authors' code does, `"uniform"` once.
        max_per_class: target images of one class in a batch, 2 in the authors' code; None: as they come.
        shard: of several workers, which rows to make; each worker makes its own.

    Returns:
        A dataset of `(images, labels, weights)`: `[rows, image_size, image_size, 3]` float32 in 0..255, and dictionaries
        with a key for each term of `[rows]` int32, the class in the row's own domain, and float32, 0 or 1.

    Raises:
        InputError: an odd batch size, no source, a selection for another number of images, an impossible option, terms of
            rows that are not there, or replicas that would not get equal numbers of target and source images.
    """
    source = None if selection.mode == "none" else source
    shard = shard or Shard()
    terms = joint_terms(source=source is not None) if terms is None else tuple(terms)
    check_at_least(1, steps=steps, iter_size=iter_size, batch_size=batch_size)
    options = {"geometry": (geometry, GEOMETRIES), "target_sampling": (target_sampling, TARGET_SAMPLINGS)}
    for name, (value, known) in options.items():
        if value not in known:
            raise InputError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
    _check_rows(target, source, selection, terms, batch_size, shard)
    draw = functools.partial(
        sample_batch, selection, seed, labels=target.labels, pairs=batch_size // 2,
        target_sampling=target_sampling, max_per_class=max_per_class,
    )  # fmt: skip
    rows = iter_size * (batch_size if source is not None else batch_size // 2)
    encoded = _sampled(draw, selection, rows, iter_size, steps, shard).map(
        lambda indices, is_target, numbers: _encoded_rows(target, source, indices, is_target, numbers),
        num_parallel_calls=2,
    )

    def augmented(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        crop = augmented_crop(row["image"], row["numbers"], image_size=image_size, geometry=geometry)
        return {**row, "image": crop}

    images = encoded.unbatch().map(augmented, num_parallel_calls=min(os.cpu_count() or 1, 8 * rows // iter_size))
    batches = images.batch(rows // (shard.workers * shard.replicas), drop_remainder=True).map(
        lambda batch: _keras_batch(batch, terms, color, pca_noise), num_parallel_calls=2
    )
    # Keras restarts a dataset whose length it knows, and warns of others when they end.
    return batches.prefetch(max(1, 4 // iter_size)).apply(
        tf.data.experimental.assert_cardinality(steps * shard.replicas)
    )


def _sampled(
    draw: functools.partial, selection: Selection, rows: int, iter_size: int, steps: int, shard: Shard
) -> tf.data.Dataset:
    """Each step's rows: index in their domain, whether that is the target, numbers; `[rows]`, of one worker."""
    share = slice(rows // shard.workers * shard.worker, rows // shard.workers * (shard.worker + 1))

    def samples() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        round, first = selection.round, selection.first_step  # read when an iteration begins
        for step in range(first, first + steps):
            batches = [draw(round, step * iter_size + i) for i in range(iter_size)]
            sides = [[batch.targets for batch in batches], [batch.sources for batch in batches]]
            # [pairs, iter_size, domains], so that every iter_size-th pair belongs to one batch
            indices = np.stack([np.stack(side, axis=1) for side in sides if side[0].size], axis=-1)
            is_target = np.broadcast_to(np.arange(indices.shape[-1]) == 0, indices.shape)
            numbers = np.stack([batch.numbers.reshape(len(indices), -1, NUMBERS) for batch in batches], axis=1)
            yield indices.reshape(rows)[share], is_target.reshape(rows)[share], numbers.reshape(rows, NUMBERS)[share]

    types = ((None,), tf.int32), ((None,), tf.bool), ((None, NUMBERS), tf.float32)
    return tf.data.Dataset.from_generator(samples, output_signature=tuple(tf.TensorSpec(*each) for each in types))


def _encoded_rows(
    target: Domain, source: Domain | None, indices: tf.Tensor, is_target: tf.Tensor, numbers: tf.Tensor
) -> dict[str, tf.Tensor]:
    rows = {"is_target": is_target, "numbers": numbers}
    if source is None:
        return {**rows, "image": read_encoded(target, indices), "label": tf.gather(target.labels, indices)}
    places = tf.dynamic_partition(tf.range(tf.size(indices)), tf.cast(is_target, tf.int32), 2)
    parts = [(domain, tf.gather(indices, place)) for domain, place in zip((source, target), places, strict=True)]
    images = [read_encoded(domain, of_domain) for domain, of_domain in parts]
    labels = [tf.gather(domain.labels, of_domain) for domain, of_domain in parts]
    return {**rows, "image": tf.dynamic_stitch(places, images), "label": tf.dynamic_stitch(places, labels)}


def _keras_batch(
    batch: dict[str, tf.Tensor], terms: Sequence[Term], color: float, pca_noise: float
) -> tuple[tf.Tensor, dict, dict]:
    images = recolored(batch["image"], batch["numbers"], color=color, pca_noise=pca_noise)
    counted = masks(terms, batch["is_target"])
    labels = {name: tf.where(mask, batch["label"], 0) for name, mask in counted.items()}
    return images, labels, {name: tf.cast(mask, tf.float32) for name, mask in counted.items()}


def check_split(name: str, batch_size: int, replicas: int) -> None:
    """Raise InputError, by `name`, unless every replica gets whole pairs of a target and a source image."""
    if batch_size % (2 * replicas):
        raise InputError(
            f"{name} is {batch_size}, which does not split into equal numbers of target and source images on "
            f"{replicas} replicas; take a multiple of {2 * replicas}"
        )


def _check_rows(
    target: Domain, source: Domain | None, selection: Selection, terms: Sequence[Term], batch_size: int, shard: Shard
) -> None:
    check_split("batch_size", batch_size, shard.workers * shard.replicas)
    if selection.mode != "none" and source is None:
        raise InputError(f"selection mode {selection.mode!r} draws source images, but source is None")
    selection.check(target, source)
    if has_source(terms) != (source is not None):
        there = "there is a source" if source is not None else "selection mode 'none' draws no source images"
        raise InputError(f"the terms count rows {', '.join(sorted({term.rows for term in terms}))}, but {there}")
