"""Which images step `s` of round `r` trains on: a pure function of (seed, round, step)."""

import dataclasses
import functools

import numpy as np

from sjft_tf.selection import Selection


@dataclasses.dataclass(frozen=True)
class Batch:
    """Indices and random numbers of one step.

    Attributes:
        targets: `[pairs]` int32, indices of target images.
        sources: `[pairs]` int32, for each of them the index of one of its neighbors; empty in mode `none`.
        seeds: `[rows, 2]` int32, a seed for each row's augmentation; rows are T, S, T, S (or T, T in mode `none`).
    """

    targets: np.ndarray
    sources: np.ndarray
    seeds: np.ndarray


@functools.lru_cache(maxsize=4)
def _order(seed: int, round: int, visit: int, n_target: int) -> np.ndarray:
    return np.random.default_rng((seed, round, visit)).permutation(n_target).astype(np.int32)


def target_indices(seed: int, round: int, step: int, *, n_target: int, pairs: int) -> np.ndarray:
    """`[pairs]` int32: the target images of a step; every pass visits each image once, in a new order."""
    positions = np.arange(step * pairs, (step + 1) * pairs)
    return np.array([_order(seed, round, int(p // n_target), n_target)[p % n_target] for p in positions], np.int32)


def sample_batch(
    selection: Selection, seed: int, round: int, step: int, *, n_target: int, pairs: int, counts_step: int | None = None
) -> Batch:
    """The images of one step: `pairs` target images and for each a neighbor, drawn uniformly from its first K.

    Args:
        selection: says which source images each target image may draw.
        seed, round, step: equal triples (and equal K) give equal batches, whatever was sampled before. With `counts_step`
            the round is that in which steps began to count, else the present one.
        n_target: number of target images.
        pairs: number of target images in a batch.
        counts_step: the step whose K holds; without it, the present K.
    """
    targets = target_indices(seed, round, step, n_target=n_target, pairs=pairs)
    rng = np.random.default_rng((seed, round, step, 1))
    uniforms = rng.random(pairs)
    sources = np.empty(0, np.int32)
    if selection.mode != "none":
        since = 0 if counts_step is None else round
        sources = selection.draw(targets, uniforms, step=counts_step, since=since)
    seeds = rng.integers(0, 2**31 - 1, (len(targets) + len(sources), 2), dtype=np.int32)
    return Batch(targets, sources, seeds)
