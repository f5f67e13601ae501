"""Whether a selection can be what is asked for, or go back to a state that was kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sjft_tf.errors import InputError

if TYPE_CHECKING:
    from sjft_tf.retrieval import NeighborTable  # for its type alone, so that this room needs no TensorFlow
    from sjft_tf.selection.selection import Selection

MODES = ("selective", "random", "all", "none")


def check_settings(s: "Selection", neighbors: "NeighborTable | None", level_cap: int | None) -> None:
    """Raise InputError unless a selection can have these, and its numbers, mode and size of the source."""
    mode, n_source = s.mode, s.n_source
    if mode not in MODES:
        raise InputError(f"selection mode is {mode!r}; it must be one of {', '.join(MODES)}")
    if mode in ("selective", "random") and neighbors is None:
        raise InputError(f"selection mode {mode!r} needs a neighbor table")
    if mode in ("random", "all") and not n_source:
        raise InputError(f"selection mode {mode!r} needs n_source, the number of source images")
    if mode == "random" and n_source and neighbors is not None and neighbors.indices.max() >= n_source:
        raise InputError(f"n_source is {n_source}, but the neighbor table names image {neighbors.indices.max()}")
    if s.k0 < 1:
        raise InputError(f"k0 is {s.k0}; it must be 1 or more")
    if min(s.sigma0, s.sigma1, s.delta) < 0:
        raise InputError(f"sigma0, sigma1, delta are {s.sigma0}, {s.sigma1}, {s.delta}; none may be negative")
    if level_cap is not None and level_cap < 1:
        raise InputError(f"level_cap is {level_cap}; it must be 1 or more, or None")


def check_classes(
    s: "Selection", neighbors: "NeighborTable | None", min_per_class: int, labels: np.ndarray | None
) -> None:
    """Raise InputError unless source classes can be left out by these."""
    if min_per_class < 0:
        raise InputError(f"min_per_class is {min_per_class}; it must be 0 or more")
    if min_per_class == 0 or s.mode == "none":
        return
    if labels is None:
        raise InputError(f"min_per_class is {min_per_class}; it needs source_labels, the classes of the source images")
    last = int(neighbors.indices.max()) if neighbors is not None else 0
    if len(labels) != (s.n_source or len(labels)) or len(labels) <= last:
        expected = f"there are {s.n_source} source images" if s.n_source else f"the neighbor table names image {last}"
        raise InputError(f"source_labels has {len(labels)} entries, but {expected}")


def checked_state(state: Mapping[str, np.ndarray], n_target: int, first_k: int, max_k: int) -> tuple[int, np.ndarray]:
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
