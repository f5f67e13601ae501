"""Which images step `s` of round `r` trains on: a pure function of (seed, round, step) and K."""

import functools
from typing import NamedTuple

import numpy as np

from sjft_tf.selection import Selection

TARGET_SAMPLINGS = ("uniform", "level")
NUMBERS = 16  # random numbers for the augmentation of a row


class Batch(NamedTuple):
    """Indices and random numbers of one step.

    Attributes:
        targets: `[pairs]` int32, indices of target images.
        sources: `[pairs]` int32, for each of them the index of one of its neighbors; empty in mode `none`.
        numbers: `[rows, NUMBERS]` float32 in `[0, 1)`, all randomness of each row's augmentation, a pure function of
            (seed, round, step, row); rows are T, S, T, S (or T, T in mode `none`).
    """

    targets: np.ndarray
    sources: np.ndarray
    numbers: np.ndarray


def sample_batch(
    selection: Selection,
    seed: int,
    round: int,
    step: int,
    *,
    labels: np.ndarray,
    pairs: int,
    target_sampling: str = "uniform",
    max_per_class: int | None = None,
) -> Batch:
    """The images of one step: `pairs` target images and for each a neighbor, drawn uniformly from its first K.

    Args:
        selection: says which source images each target image may draw.
        seed, round, step: equal triples (and equal K) give equal batches, whatever was sampled before.
        labels: `[n_target]` int, classes of the target images.
        pairs: number of target images in a batch.
        target_sampling, max_per_class: as in `joint_dataset`; for the latter see `spread_classes`.
    """
    levels = selection.levels if target_sampling == "level" else None
    targets = target_indices(seed, round, step, n_target=len(labels), pairs=pairs, levels=levels)
    if max_per_class is not None:
        targets = spread_classes(targets, labels, max_per_class, np.random.default_rng((seed, round, step, 3)))
    uniforms = np.random.default_rng((seed, round, step, 1)).random(pairs)
    sources = np.empty(0, np.int32) if selection.mode == "none" else selection.draw(targets, uniforms)
    # A generator of their own, so that a row's numbers do not depend on how many rows there are.
    numbers = np.random.default_rng((seed, round, step, 2)).random((len(targets) + len(sources), NUMBERS), np.float32)
    return Batch(targets, sources, numbers)


def target_indices(
    seed: int, round: int, step: int, *, n_target: int, pairs: int, levels: np.ndarray | None = None
) -> np.ndarray:
    """`[pairs]` int32: target images of a step; every pass has image i `levels[i]` times (None: once), in a new order."""
    length = n_target if levels is None else int(levels.sum())
    copies = None if levels is None else levels.astype(np.int32).tobytes()
    visits, places = np.divmod(np.arange(step * pairs, (step + 1) * pairs), length)
    passes = range(int(visits[0]), int(visits[-1]) + 1)
    return np.concatenate([_order(seed, round, visit, n_target, copies)[places[visits == visit]] for visit in passes])


@functools.lru_cache(maxsize=4)
def _order(seed: int, round: int, visit: int, n_target: int, copies: bytes | None) -> np.ndarray:
    levels = 1 if copies is None else np.frombuffer(copies, np.int32)
    images = np.repeat(np.arange(n_target), levels)
    return np.random.default_rng((seed, round, visit)).permutation(images).astype(np.int32)


def spread_classes(targets: np.ndarray, labels: np.ndarray, max_per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Target images of a batch in which no class comes more than `max_per_class` times.

    Where a class comes more often, the earliest of its rows are replaced by random images of classes that the batch does
    not hold, each such class once at most, in random order. Where none is left, rows stay, so that a target of few
    classes is still trained on; what the authors' code does then is undefined.

    Args:
        targets: `[pairs]` int32, indices of target images; so is what comes back.
        labels: `[n_target]` int >= 0.
        max_per_class: 2 in the authors' code.
        rng: decides the images.
    """
    classes = labels[targets]
    n_from_here = np.triu(classes[:, None] == classes).sum(axis=1)
    surplus = np.flatnonzero(n_from_here > max_per_class)
    if not len(surplus):
        return targets
    n_absent = np.bincount(labels)
    n_absent[classes] = 0
    spread = targets.copy()
    for row, label in zip(surplus, rng.permutation(np.flatnonzero(n_absent)), strict=False):
        spread[row] = rng.choice(np.flatnonzero(labels == label))
    return spread
