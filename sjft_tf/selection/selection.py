"""Which source images each target image may draw from, round by round."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.selection.rule import Outcome, expand_counts, outcome

if TYPE_CHECKING:
    from sjft_tf.retrieval import NeighborTable  # for its type alone, so that this room needs no TensorFlow

MODES = ("selective", "random", "all", "none")
logger = logging.getLogger(__name__)


class Selection:
    """A neighbor table, the number K of its neighbors that each target image may draw, and the rule that changes K.

    The modes are the arms of the paper's ablation, and K follows Eq. (3) in each of them that has a table:

    - `selective`: a target image draws uniformly from its first K neighbors.
    - `random`: every target image draws from the same random source images, as many as are within reach
      (distinct, over all target images) of the neighbor table at this K; the set only grows.
    - `all`: every target image draws from the whole source.
    - `none`: nothing is drawn; training sees target images alone.

    Args:
        neighbors: the table; needed by `selective` and `random`, not used by the others.
        k0: K of the first round, for every target image.
        sigma0: growth of K for a wrong image, in multiples of `k0`.
        sigma1: growth of K for a correct but uncertain image, in multiples of `k0`.
        delta: the entropy in nats from which a correct image counts as uncertain.
        mode: one of the four above.
        n_source: size of the source; needed by `random` and `all`.
        seed: decides the order in which `random` takes source images.

    Attributes:
        counts: `[n_target]` int32, K of the present round; None without a table.
        round: number of the present round, from 0.

    Raises:
        InputError: an unknown mode, a missing table or source size, or numbers out of range.
    """

    def __init__(
        self,
        neighbors: "NeighborTable | None",
        *,
        k0: int = 300,
        sigma0: int = 4,
        sigma1: int = 2,
        delta: float = 0.1,
        mode: str = "selective",
        n_source: int | None = None,
        seed: int = 0,
    ) -> None:
        _check(neighbors, k0, sigma0, sigma1, delta, mode, n_source)
        self.neighbors = neighbors if mode in ("selective", "random") else None
        self.k0, self.sigma0, self.sigma1, self.delta = k0, sigma0, sigma1, delta
        self.mode, self.n_source = mode, n_source
        self._shuffled = np.random.default_rng(seed).permutation(n_source or 0).astype(np.int32)
        counts = None
        if self.neighbors is not None:
            if k0 > self.neighbors.max_k:
                logger.info("k0 = %d is capped at the neighbor table's width, %d", k0, self.neighbors.max_k)
            counts = np.full(len(self.neighbors), min(k0, self.neighbors.max_k), np.int32)
        # K by the first step at which it holds: a pipeline that works ahead still draws by the K of its step.
        self._history: list[tuple[int, np.ndarray | None, int]] = [(0, counts, self._count_reachable(counts))]

    @property
    def counts(self) -> np.ndarray | None:
        """`[n_target]` int32, K of the present round."""
        return self._history[-1][1]

    @property
    def round(self) -> int:
        """Number of the present round, from 0."""
        return len(self._history) - 1

    @property
    def reachable(self) -> int:
        """Number of distinct source images that may be drawn in the present round."""
        return self._history[-1][2]

    def advance(self, entropies: np.ndarray, correct: np.ndarray, *, first_step: int = 0) -> Outcome:
        """Enter the next round, giving wrong and uncertain target images more neighbors by Eq. (3).

        Args:
            entropies: `[n_target]` float, Eq. (2), in nats.
            correct: `[n_target]` bool, whether the target head's top class is the label.
            first_step: the training step from which the new K holds, for those who draw by step.

        Returns:
            How many images were wrong, uncertain and settled.
        """
        counts = self.counts
        if counts is not None and self.neighbors is not None:
            width = self.neighbors.max_k
            counts = expand_counts(
                counts, entropies, correct,
                k0=self.k0, sigma0=self.sigma0, sigma1=self.sigma1, delta=self.delta, max_k=width,
            )  # fmt: skip
            n_capped = int((counts == width).sum())
            if n_capped:
                logger.info("K of %d target images is at the cap, the neighbor table's width %d", n_capped, width)
        self._history.append((first_step, counts, self._count_reachable(counts)))
        return outcome(entropies, correct, self.delta)

    def draw(self, targets: np.ndarray, uniforms: np.ndarray, *, step: int | None = None, since: int = 0) -> np.ndarray:
        """One source image for each target image.

        Args:
            targets: `[n]` int, indices of target images.
            uniforms: `[n]` float in `[0, 1)`; equal numbers give equal draws.
            step: draw by the K that holds at this training step; without it, by the present K.
            since: the round in which steps began to count; its K holds from step 0.

        Returns:
            `[n]` int32, indices of source images.
        """
        later = (h for h in reversed(self._history[since + 1 :]) if step is None or h[0] <= step)
        _, counts, reachable = next(later, self._history[since])
        if self.mode == "selective" and self.neighbors is not None and counts is not None:
            ranks = (uniforms * counts[targets]).astype(np.int64)
            drawn: np.ndarray = self.neighbors.indices[targets, ranks]
        else:
            drawn = self._shuffled[(uniforms * reachable).astype(np.int64)]
        return drawn

    def check_target(self, name: str, n_images: int) -> None:
        """Raise InputError unless the selection is for as many target images as the domain `name` has."""
        if self.counts is not None and len(self.counts) != n_images:
            raise InputError(f"the selection is for {len(self.counts)} target images; {name} has {n_images}")

    def _count_reachable(self, counts: np.ndarray | None) -> int:
        if self.neighbors is not None and counts is not None:
            return self.neighbors.distinct(counts)
        return len(self._shuffled) if self.mode == "all" else 0


def _check(
    neighbors: "NeighborTable | None", k0: int, sigma0: int, sigma1: int, delta: float, mode: str, n_source: int | None
) -> None:
    if mode not in MODES:
        raise InputError(f"selection mode is {mode!r}; it must be one of {', '.join(MODES)}")
    if mode in ("selective", "random") and neighbors is None:
        raise InputError(f"selection mode {mode!r} needs a neighbor table")
    if mode in ("random", "all") and not n_source:
        raise InputError(f"selection mode {mode!r} needs n_source, the number of source images")
    if mode == "random" and n_source and neighbors is not None and neighbors.indices.max() >= n_source:
        raise InputError(f"n_source is {n_source}, but the neighbor table names image {neighbors.indices.max()}")
    if k0 < 1:
        raise InputError(f"k0 is {k0}; it must be 1 or more")
    if min(sigma0, sigma1) < 0 or delta < 0:
        raise InputError(f"sigma0, sigma1, delta are {sigma0}, {sigma1}, {delta}; none may be negative")
