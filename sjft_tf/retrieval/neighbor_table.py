"""The neighbor table: for each target image its nearest source images, in ascending divergence."""

import dataclasses
import os

import numpy as np

from sjft_tf import files
from sjft_tf.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class NeighborTable:
    """The nearest source images of every target image, in ascending divergence, ties by lower index.

    The list for K is the first K entries of a row, so one deep search serves every K up to `max_k`.

    Attributes:
        indices: `[n_target, max_k]` int32, source indices; no index twice in a row.
        divergences: `[n_target, max_k]` float32 >= 0: Eq. (1) in nats, or squared distances of features.

    Raises:
        InputError: the arrays do not have these properties.
    """

    indices: np.ndarray
    divergences: np.ndarray

    def __post_init__(self) -> None:
        fault = _fault(self.indices, self.divergences)
        if fault:
            raise InputError(f"neighbor table: {fault}")

    def __len__(self) -> int:
        """The number of target images."""
        return len(self.indices)

    @property
    def max_k(self) -> int:
        """The number of neighbors of each target image."""
        return int(self.indices.shape[1])

    def distinct(self, counts: np.ndarray | int) -> int:
        """The number of distinct source images within the first `counts[i]` entries of every row i.

        Args:
            counts: `[n_target]` int, each in 0..max_k; a plain int stands for every row.
        """
        counts = np.broadcast_to(np.asarray(counts), len(self))
        return len(np.unique(self.indices[np.arange(self.max_k) < counts[:, None]]))

    def summary(self) -> str:
        """One line for people."""
        first, last = (np.median(self.divergences[:, k]) for k in (0, -1))
        return (
            f"{len(self):,} target images, {self.max_k:,} neighbors each, {self.distinct(self.max_k):,} distinct source "
            f"images; median divergence {first:.3g} (nearest) to {last:.3g} (farthest)"
        )

    def save(self, path: str | os.PathLike[str], *, made_from: str = "") -> None:
        """Write the table as `.npz`; `made_from` is the hash of what it was made from."""
        files.save_arrays(path, indices=self.indices, divergences=self.divergences, made_from=np.array(made_from))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, made_from: str | None = None) -> "NeighborTable":
        """Read a table that `save` wrote.

        Args:
            path: the file.
            made_from: if given, the hash that the file must carry.

        Raises:
            InputError: the file is missing, damaged, not a neighbor table, or made from something else.
        """
        expected = {"indices": np.int32, "divergences": np.float32, "made_from": np.str_}
        arrays = files.load_arrays(path, expected)
        found = str(arrays["made_from"])
        if made_from is not None and found != made_from:
            raise InputError(f"{path} was made from {found!r}, expected {made_from!r}")
        fault = _fault(arrays["indices"], arrays["divergences"])
        if fault:
            raise InputError(f"{path} is no neighbor table: {fault}")
        return cls(arrays["indices"], arrays["divergences"])


def _fault(indices: np.ndarray, divergences: np.ndarray) -> str:
    """What is wrong with the arrays of a table, or nothing."""
    if indices.dtype != np.int32 or divergences.dtype != np.float32:
        return f"indices are {indices.dtype} and divergences {divergences.dtype}, expected int32 and float32"
    if indices.ndim != 2 or indices.shape != divergences.shape or 0 in indices.shape:
        return f"indices {indices.shape} and divergences {divergences.shape}, expected one shape [n_target, max_k]"
    with np.errstate(invalid="ignore"):  # infinity minus infinity; the first check names it
        steps = np.diff(divergences, axis=1)
    checks = {
        "a divergence is negative or not finite": ~(np.isfinite(divergences) & (divergences >= 0)),
        "an index is negative": indices < 0,
        "divergences descend": steps < 0,
        "equal divergences are not in the order of their indices": (steps == 0) & (np.diff(indices, axis=1) <= 0),
        "a source image occurs twice": np.diff(np.sort(indices, axis=1), axis=1) == 0,
    }
    for fault, wrong in checks.items():
        if wrong.any():
            return f"{fault} in row {int(wrong.any(axis=1).argmax())}"
    return ""
