"""The `tf.data` pipeline: target images interleaved with source images drawn for them."""

import dataclasses
import functools
import os

import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, read_encoded
from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.training.augmentation import GEOMETRIES, augmented_crop, recolored
from sjft_tf.training.sampling import NUMBERS, TARGET_SAMPLINGS, sample_batch

# More batches than the pipeline can have in flight: so many steps after its end a round's K still holds in an
# endless dataset, and which K a step draws by does not depend on how far the pipeline happened to work ahead.
LOOKAHEAD = 32


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
    batch_size: int = 20,
    iter_size: int = 1,
    image_size: int = 224,
    steps: int | None = None,
    first_step: int = 0,
    seed: int = 0,
    geometry: str = "scale",
    color: float = 0.0,
    pca_noise: float = 0.1,
    target_sampling: str = "uniform",
    max_per_class: int | None = None,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """Batches for two heads: target images, and for each of them one of the source images that it may draw.

    Each pass over the target visits every image once. Rows are interleaved T, S, T, S, so that any even split over
    replicas holds both domains in equal number; a row's weight is 0 for the other domain's head, whose label there is a
    valid dummy, 0. With Keras' default reduction the loss is then `0.5 mean(target) + 0.5 mean(source)`.
    In selection mode `none` a batch holds the `batch_size / 2` target images alone, and no `source` key; it is for
    `joint_model(source_classes=None)`, `joint_loss(("target",))` and `joint_metrics(("target",))`.

    What a step holds is a pure function of (seed, round, step) and K. With `steps`, the dataset is one round, made
    afresh each time it is iterated over: `fit(data, epochs=rounds)`. Without, it is endless, for
    `fit(data, epochs=rounds, steps_per_epoch=...)`; then a round's new K holds from its step `LOOKAHEAD` (32) on,
    because the batches before may be in flight already, and round stands for the one in which `fit` began.

    Args:
        target: the target domain.
        source: the source domain; not used in mode `none`.
        selection: says which source images each target image may draw; its K may change between rounds.
        batch_size: rows of a batch, even.
        iter_size: batches for one update, which lie on the second axis; for a `JointModel`. With 1 there is no such axis.
        image_size: side of the images in pixels.
        steps: updates in the dataset.
        first_step: the update to begin at, to go on within a round; needs `steps`, and is counted in them.
        seed: decides order, draws and augmentation.
        geometry: of the random crop, see `augmented_crop`.
        color, pca_noise: strength of changes of color, see `recolored`.
        target_sampling: `"level"` shows a target image K / k0 times a pass (specification 6.4), `"uniform"` once.
        max_per_class: target images of one class in a batch (specification 4.3); None: as they come.
        shard: of several workers, which rows to make; each worker makes its own.

    Returns:
        A dataset of `(images, labels, weights)`: `[batch_size, image_size, image_size, 3]` float32 in 0..255, and
        dictionaries with the keys `target`, `source` of `[batch_size]` int32 and float32. With `iter_size` n above 1,
        `[batch_size, n, ...]`.

    Raises:
        InputError: an odd batch size, no source, a selection for another number of images, an impossible option, or
            replicas that would not get equal numbers of target and source images.
    """
    source = None if selection.mode == "none" else source
    shard = shard or Shard()
    _check(target, source, selection, batch_size, shard)
    _check_options(iter_size, steps, first_step, geometry, target_sampling)
    draw = functools.partial(
        sample_batch, selection, seed, n_target=len(target), pairs=batch_size // 2,
        target_sampling=target_sampling, max_per_class=max_per_class, labels=target.labels,
    )  # fmt: skip
    rows = batch_size if source is not None else batch_size // 2
    sampled = _sampled(draw, selection, rows, iter_size, steps, first_step, shard)
    encoded = sampled.map(
        lambda indices, is_target, numbers: _encoded_rows(target, source, indices, is_target, numbers),
        num_parallel_calls=2,
    )
    images = encoded.unbatch().map(
        lambda row: {
            **row,
            "image": augmented_crop(row["image"], row["numbers"], image_size=image_size, geometry=geometry),
        },
        num_parallel_calls=min(os.cpu_count() or 1, 8 * rows),
    )
    heads = ("target",) if source is None else ("target", "source")
    rows //= shard.workers * shard.replicas
    shape = (rows, iter_size) if iter_size > 1 else (rows,)
    batches = images.batch(rows * iter_size, drop_remainder=True).map(
        lambda batch: _keras_batch(batch, heads, shape, color, pca_noise), num_parallel_calls=2
    )
    length = tf.data.INFINITE_CARDINALITY if steps is None else (steps - first_step) * shard.replicas
    # Keras restarts a dataset whose length it knows, and warns of others when they end.
    return batches.prefetch(max(1, 4 // iter_size)).apply(tf.data.experimental.assert_cardinality(length))


def _sampled(
    draw: functools.partial,
    selection: Selection,
    rows: int,
    iter_size: int,
    steps: int | None,
    first_step: int,
    shard: Shard,
) -> tf.data.Dataset:
    """Each step's rows: index in their domain, whether that is the target, numbers; `[rows, iter_size]`, flattened."""
    began = selection.round
    share = slice(rows // shard.workers * shard.worker, rows // shard.workers * (shard.worker + 1))

    def sample(step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nonlocal began
        number = int(step)
        if number == 0 or steps is not None:
            began = selection.round
        counts_step = max(number - LOOKAHEAD, 0) if steps is None else None
        batches = [draw(began, number * iter_size + i, counts_step=counts_step) for i in range(iter_size)]
        sides = [[batch.targets for batch in batches], [batch.sources for batch in batches]]
        pairs = np.stack([side for side in sides if side[0].size], axis=-1)  # [iter_size, pairs, domains]
        is_target = np.broadcast_to(np.arange(pairs.shape[-1]) == 0, pairs.shape)
        numbers = np.stack([batch.numbers for batch in batches], axis=1)
        flat = [column.reshape(iter_size, rows).T[share].reshape(-1) for column in (pairs, is_target)]
        return flat[0].astype(np.int32), flat[1], numbers[share].reshape(-1, NUMBERS)

    def sample_in_graph(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        indices, is_target, numbers = tf.numpy_function(sample, [step], (tf.int32, tf.bool, tf.float32))
        return (
            tf.ensure_shape(indices, (None,)),
            tf.ensure_shape(is_target, (None,)),
            tf.ensure_shape(numbers, (None, NUMBERS)),
        )

    dataset = tf.data.Dataset.counter() if steps is None else tf.data.Dataset.range(first_step, steps)
    return dataset.map(sample_in_graph)


def _encoded_rows(
    target: Domain, source: Domain | None, indices: tf.Tensor, is_target: tf.Tensor, numbers: tf.Tensor
) -> dict[str, tf.Tensor]:
    rows = {"is_target": is_target, "numbers": numbers}
    if source is None:
        return {**rows, "image": read_encoded(target, indices), "label": tf.gather(target.labels, indices)}
    images, labels = [], []
    places = tf.dynamic_partition(tf.range(tf.size(indices)), tf.cast(is_target, tf.int32), 2)
    for domain, place in zip((source, target), places, strict=True):
        of_domain = tf.gather(indices, place)
        images.append(read_encoded(domain, of_domain))
        labels.append(tf.gather(domain.labels, of_domain))
    return {**rows, "image": tf.dynamic_stitch(places, images), "label": tf.dynamic_stitch(places, labels)}


def _keras_batch(
    batch: dict[str, tf.Tensor], heads: tuple[str, ...], shape: tuple[int, ...], color: float, pca_noise: float
) -> tuple[tf.Tensor, dict, dict]:
    images = recolored(batch["image"], batch["numbers"], color=color, pca_noise=pca_noise)
    images = tf.reshape(images, (*shape, *images.shape[1:]))
    is_target, label = tf.reshape(batch["is_target"], shape), tf.reshape(batch["label"], shape)
    masks = {head: is_target == (head == "target") for head in heads}
    labels = {head: tf.where(masks[head], label, 0) for head in heads}
    weights = {head: tf.cast(masks[head], tf.float32) for head in heads}
    return images, labels, weights


def check_split(name: str, batch_size: int, replicas: int) -> None:
    """Raise InputError, by `name`, unless every replica gets whole pairs of a target and a source image."""
    if batch_size % (2 * replicas):
        raise InputError(
            f"{name} is {batch_size}, which does not split into equal numbers of target and source images on "
            f"{replicas} replicas; take a multiple of {2 * replicas}"
        )


def _check(target: Domain, source: Domain | None, selection: Selection, batch_size: int, shard: Shard) -> None:
    if batch_size < 2 or batch_size % 2:
        raise InputError(f"batch_size is {batch_size}; it must be even, half target and half source images")
    check_split("batch_size", batch_size, shard.workers * shard.replicas)
    if selection.mode != "none" and source is None:
        raise InputError(f"selection mode {selection.mode!r} draws source images, but source is None")
    selection.check_target(target.name, len(target))
    if source is not None and selection.neighbors is not None and selection.neighbors.indices.max() >= len(source):
        last = selection.neighbors.indices.max()
        raise InputError(f"the neighbor table names source image {last}; {source.name} has {len(source)} images")
    if source is not None and selection.n_source is not None and selection.n_source != len(source):
        raise InputError(f"the selection is for {selection.n_source} source images; {source.name} has {len(source)}")


def _check_options(iter_size: int, steps: int | None, first_step: int, geometry: str, target_sampling: str) -> None:
    if iter_size < 1:
        raise InputError(f"iter_size is {iter_size}; it must be 1 or more")
    if first_step and not 0 <= first_step < (steps or 0):
        raise InputError(f"first_step is {first_step}; it must be less than steps, which is {steps}")
    for name, value, known in (
        ("geometry", geometry, GEOMETRIES),
        ("target_sampling", target_sampling, TARGET_SAMPLINGS),
    ):
        if value not in known:
            raise InputError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
