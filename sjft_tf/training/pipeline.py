"""The `tf.data` pipeline: target images interleaved with source images drawn for them."""

import os

import numpy as np
import tensorflow as tf

from sjft_tf.domains import Domain, decode, read_encoded
from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.training.augmentation import augment
from sjft_tf.training.sampling import sample_batch

# More batches than the pipeline can have in flight: so many steps after its end a round's K still holds in an
# endless dataset, and which K a step draws by does not depend on how far the pipeline happened to work ahead.
LOOKAHEAD = 32


def joint_dataset(
    target: Domain,
    source: Domain | None,
    selection: Selection,
    *,
    batch_size: int = 20,
    image_size: int = 224,
    steps: int | None = None,
    seed: int = 0,
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
        image_size: side of the images in pixels.
        steps: batches in the dataset.
        seed: decides order, draws and augmentation.

    Returns:
        A dataset of `(images, labels, weights)`: `[batch_size, image_size, image_size, 3]` float32 in 0..255, and
        dictionaries with the keys `target`, `source` of `[batch_size]` int32 and float32.

    Raises:
        InputError: an odd batch size, no source, or a selection for another number of images.
    """
    source = None if selection.mode == "none" else source
    _check(target, source, selection, batch_size)
    sampled = _sampled(target, selection, batch_size // 2, steps, seed)
    batches = sampled.map(
        lambda targets, sources, seeds: _encoded_rows(target, source, targets, sources, seeds), num_parallel_calls=2
    )
    rows = batch_size if source is not None else batch_size // 2
    images = batches.unbatch().map(
        lambda row: {**row, "image": augment(decode(row["image"]), image_size, row["seed"])},
        num_parallel_calls=min(os.cpu_count() or 1, 8 * rows),
    )
    heads = ("target",) if source is None else ("target", "source")
    dataset = images.batch(rows, drop_remainder=True).map(lambda batch: _keras_batch(batch, heads)).prefetch(4)
    # Keras restarts a dataset whose length it knows, and warns of others when they end.
    return dataset.apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY if steps is None else steps)
    )


def _sampled(target: Domain, selection: Selection, pairs: int, steps: int | None, seed: int) -> tf.data.Dataset:
    n_target, began = len(target), selection.round

    def sample(step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nonlocal began
        number = int(step)
        if number == 0 or steps is not None:
            began = selection.round
        counts_step = max(number - LOOKAHEAD, 0) if steps is None else None
        batch = sample_batch(selection, seed, began, number, n_target=n_target, pairs=pairs, counts_step=counts_step)
        return batch.targets, batch.sources, batch.seeds

    def sample_in_graph(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        targets, sources, seeds = tf.numpy_function(sample, [step], (tf.int32, tf.int32, tf.int32))
        return tf.ensure_shape(targets, (None,)), tf.ensure_shape(sources, (None,)), tf.ensure_shape(seeds, (None, 2))

    dataset = tf.data.Dataset.counter() if steps is None else tf.data.Dataset.range(steps)
    return dataset.map(sample_in_graph)


def _encoded_rows(
    target: Domain, source: Domain | None, targets: tf.Tensor, sources: tf.Tensor, seeds: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The rows of a batch, interleaved: encoded image, label, whether it is a target image, seed."""
    images = [read_encoded(target, targets)]
    labels = [tf.gather(tf.constant(target.labels), targets)]
    if source is not None:
        images.append(read_encoded(source, sources))
        labels.append(tf.gather(tf.constant(source.labels), sources))
    n_domains = 2 if source is not None else 1
    is_target = tf.tile([True, False][:n_domains], tf.shape(targets))
    return {"image": _interleave(images), "label": _interleave(labels), "is_target": is_target, "seed": seeds}


def _interleave(columns: list[tf.Tensor]) -> tf.Tensor:
    return tf.reshape(tf.stack(columns, axis=1), (-1,))


def _keras_batch(batch: dict[str, tf.Tensor], heads: tuple[str, ...]) -> tuple[tf.Tensor, dict, dict]:
    masks = {head: batch["is_target"] == (head == "target") for head in heads}
    labels = {head: tf.where(masks[head], batch["label"], 0) for head in heads}
    weights = {head: tf.cast(masks[head], tf.float32) for head in heads}
    return batch["image"], labels, weights


def _check(target: Domain, source: Domain | None, selection: Selection, batch_size: int) -> None:
    if batch_size < 2 or batch_size % 2:
        raise InputError(f"batch_size is {batch_size}; it must be even, half target and half source images")
    if selection.mode != "none" and source is None:
        raise InputError(f"selection mode {selection.mode!r} draws source images, but source is None")
    selection.check_target(target.name, len(target))
    if source is not None and selection.neighbors is not None and selection.neighbors.indices.max() >= len(source):
        last = selection.neighbors.indices.max()
        raise InputError(f"the neighbor table names source image {last}; {source.name} has {len(source)} images")
    if source is not None and selection.n_source is not None and selection.n_source != len(source):
        raise InputError(f"the selection is for {selection.n_source} source images; {source.name} has {len(source)}")
