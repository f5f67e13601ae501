"""Which source images each target image may draw from, round by round."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sjft_tf.errors import InputError, check_at_least
from sjft_tf.selection.reach import Lists, Pool
from sjft_tf.selection.rule import Outcome, expand_counts, outcome

if TYPE_CHECKING:
    from sjft_tf.domains import Domain
    from sjft_tf.retrieval import NeighborTable  # for its type alone, so that this room needs no TensorFlow

MODES = ("selective", "random", "all", "none")
KS = ("entropy", "random")
logger = logging.getLogger(__name__)


class Selection:
    """A neighbor table, the number K of its neighbors that each target image may draw, and the rule that changes K.

    The modes are the arms of the paper's ablation, and K follows Eq. (3) in each of them that has a table:

    - `selective`: a target image draws uniformly from its first K neighbors.
    - `random`: every target image draws from the same random source images, as many as are within reach
      (distinct, over all target images) of the neighbor table at this K; as K grows, so does the set.
    - `all`: every target image draws from the whole source.
    - `none`: nothing is drawn; training sees target images alone.

    With `k="random"`, the control of the expansion, the same K are dealt to target images at random, anew in each round: Eq.
    (3) goes on with the K that it gave to each image itself, and what is drawn by is a permutation of them.

    With `min_per_class`, images of source classes of which fewer are in reach (in the first K of any target image; in the
    set of `random`; in the source) are not drawn. Where that would leave a target image, or the set, nothing to draw,
    it draws from all of it. Which classes those are is decided again in every round.

    Args:
        neighbors: the table; needed by `selective` and `random`, not used by the others.
        k0: K of the first round, for every target image.
        sigma0, sigma1: growth of K for a wrong, and for a correct but uncertain image, in multiples of `k0`.
        delta: the entropy in nats from which a correct image counts as uncertain.
        mode: one of the four above.
        k: "entropy", or "random", see above.
        n_source: size of the source; needed by `random` and `all`.
        seed: decides the order in which `random` takes source images, and with the round who gets which K by chance.
        level_cap: K grows to at most so many `k0`; 10 in the authors' code. None: up to the table's width.
        min_per_class: see above; 0: every class is drawn from.
        source_labels: `[n_source]` int >= 0, classes of the source images; needed by `min_per_class`.

    Attributes:
        counts: `[n_target]` int32, the K that are drawn by in the present round; None without a table.
        round: number of the present round, from 0.
        first_step: the step of the present round at which a dataset that is iterated over from now on begins: 0, but for
            a training that resumes within a round.

    Raises:
        InputError: an unknown mode or `k`, a missing table or source size, or numbers out of range.
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
        k: str = "entropy",
        n_source: int | None = None,
        seed: int = 0,
        level_cap: int | None = None,
        min_per_class: int = 0,
        source_labels: np.ndarray | None = None,
    ) -> None:
        self.k0, self.sigma0, self.sigma1, self.delta = k0, sigma0, sigma1, delta
        self.mode, self.k, self.n_source, self._seed = mode, k, n_source, seed
        _check_arguments(self, neighbors, level_cap, min_per_class, source_labels)
        self.neighbors = neighbors if mode in ("selective", "random") else None
        self._min_per_class = min_per_class
        self._labels = source_labels if min_per_class and mode != "none" else None
        self._shuffled = np.random.default_rng(seed).permutation(n_source or 0).astype(np.int32)
        self.max_k, counts = 0, None
        if self.neighbors is not None:
            width = self.neighbors.depth
            self.max_k = width if level_cap is None else min(width, level_cap * k0)
            if k0 > width:
                logger.info("k0 = %d is capped at the neighbor table's width, %d", k0, width)
            counts = np.full(len(self.neighbors), min(k0, width), np.int32)
        self._enter(0, counts)

    @property
    def levels(self) -> np.ndarray | None:
        """`[n_target]` int32, K / k0 of the present round; None without a table, that is, all 1.

        They are the levels of the authors' code; where a short list cuts K off, the next whole number.
        """
        return None if self.counts is None else np.asarray(-(-self.counts // self.k0), np.int32)

    @property
    def reachable(self) -> int:
        """Number of distinct source images that may be drawn in the present round."""
        return self._reach.size

    def advance(self, entropies: np.ndarray, correct: np.ndarray) -> Outcome:
        """Enter the next round, giving wrong and uncertain target images more neighbors by Eq. (3).

        Args:
            entropies, correct: `[n_target]`, as in `expand_counts`.

        Returns:
            How many images were wrong, uncertain and settled.
        """
        counts = self._by_rule
        if counts is not None and self.neighbors is not None:
            counts = expand_counts(
                counts, entropies, correct,
                k0=self.k0, sigma0=self.sigma0, sigma1=self.sigma1, delta=self.delta, max_k=self.max_k,
            )  # fmt: skip
            if n_capped := int((counts == self.max_k).sum()):
                cap = "the neighbor table's width" if self.max_k == self.neighbors.depth else "level_cap * k0 ="
                logger.info("K of %d target images is at the cap, %s %d", n_capped, cap, self.max_k)
        self._enter(self.round + 1, counts)
        return outcome(entropies, correct, self.delta)

    def draw(self, targets: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """`[n]` int32, by the present K one source image for each target image in `targets`, `[n]` int.

        `uniforms` are `[n]` float in `[0, 1)`; equal numbers give equal draws.
        """
        return self._reach.draw(targets, uniforms)

    def state(self) -> dict[str, np.ndarray]:
        """All that `advance` has changed: `round`, int64 `[]`, and `counts`, K by Eq. (3), `[n_target]` int32.

        Without a table counts are `[0]`.
        """
        counts = np.empty(0, np.int32) if self._by_rule is None else self._by_rule
        return {"round": np.array(self.round, np.int64), "counts": counts}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Return to what `state` was, of this selection or another of equal arguments.

        Raises:
            InputError: the state is damaged, or of a selection with another table, `k0` or `level_cap`.
        """
        table = self.neighbors
        n_target, first_k = (0, 0) if table is None else (len(table), min(self.k0, table.depth))
        number, counts = _checked_state(state, n_target, first_k, self.max_k)
        self._enter(number, None if table is None else counts)

    def check(self, target: "Domain", source: "Domain | None" = None) -> None:
        """Raise InputError unless the selection is for these domains."""
        if self.neighbors is not None:
            self.neighbors.check(target, source)
        if source is not None and self.n_source not in (None, len(source)):
            raise InputError(f"the selection is for {self.n_source} source images; {source.name} has {len(source)}")

    def _enter(self, round: int, counts: np.ndarray | None) -> None:
        self.round, self.first_step, self._by_rule, self.counts = round, 0, counts, counts
        if counts is not None and self.k == "random":
            self.counts = np.random.default_rng((self._seed, round)).permutation(counts)
        self._reach = self._reach_of(self.counts)

    def _reach_of(self, counts: np.ndarray | None) -> Lists | Pool:
        n_drawn = len(self._shuffled) if self.mode == "all" else 0
        if self.neighbors is not None and counts is not None:
            if self.mode == "selective":
                return Lists.of(self.neighbors.indices, counts, self._labels, self._min_per_class)
            n_drawn = Lists.of(self.neighbors.indices, counts, None, 0).size
        return Pool.of(self._shuffled[:n_drawn], self._labels, self._min_per_class)


def _check_arguments(
    s: Selection,
    neighbors: "NeighborTable | None",
    level_cap: int | None,
    min_per_class: int,
    labels: np.ndarray | None,
) -> None:
    """Raise InputError unless a selection can have these, and its numbers, mode and size of the source."""
    mode, n_source = s.mode, s.n_source
    last = int(neighbors.indices.max()) if neighbors is not None else 0  # source image that is named
    if mode not in MODES:
        raise InputError(f"selection mode is {mode!r}; it must be one of {', '.join(MODES)}")
    if s.k not in KS:
        raise InputError(f"k is {s.k!r}; it must be one of {', '.join(KS)}")
    if mode in ("selective", "random") and neighbors is None:
        raise InputError(f"selection mode {mode!r} needs a neighbor table")
    if mode in ("random", "all") and not n_source:
        raise InputError(f"selection mode {mode!r} needs n_source, the number of source images")
    if mode == "random" and n_source and last >= n_source:
        raise InputError(f"n_source is {n_source}, but the neighbor table names image {last}")
    check_at_least(1, k0=s.k0)
    check_at_least(0, sigma0=s.sigma0, sigma1=s.sigma1, delta=s.delta, min_per_class=min_per_class)
    if level_cap is not None and level_cap < 1:
        raise InputError(f"level_cap is {level_cap}; it must be 1 or more, or None")
    if min_per_class == 0 or mode == "none":
        return
    if labels is None:
        raise InputError(f"min_per_class is {min_per_class}; it needs source_labels, the classes of the source images")
    if len(labels) != (n_source or len(labels)) or len(labels) <= last:
        expected = f"there are {n_source} source images" if n_source else f"the neighbor table names image {last}"
        raise InputError(f"source_labels has {len(labels)} entries, but {expected}")


def _checked_state(state: Mapping[str, np.ndarray], n_target: int, first_k: int, max_k: int) -> tuple[int, np.ndarray]:
    """Round and K of a state of `Selection`, if they can be those of one that began with K = `first_k`."""
    number, counts = (np.asarray(state.get(key, "absent")) for key in ("round", "counts"))
    fault = ""
    if number.dtype.kind != "i" or counts.dtype.kind != "i":
        fault = f"it holds {number.dtype} and {counts.dtype}, not integers"
    elif number.ndim != 0 or counts.ndim != 1:
        fault = f"its shapes are {number.shape}, {counts.shape}, not [], [n_target]"
    elif len(counts) != n_target:
        fault = f"it is for {len(counts)} target images, not {n_target}"
    elif number < 0:
        fault = f"its round is {number}"
    elif (counts < first_k).any() or (counts > (max_k if number else first_k)).any():
        fault = f"its K leaves {first_k} to {max_k if number else first_k}"
    if fault:
        raise InputError(f"this state of a selection cannot be restored: {fault}")
    return int(number), counts.astype(np.int32)
