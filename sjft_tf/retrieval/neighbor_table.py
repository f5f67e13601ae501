"""The neighbor table: for each target image its nearest source images, nearest first."""

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np

from sjft_tf import files
from sjft_tf.errors import InputError

if TYPE_CHECKING:
    from sjft_tf.domains import Domain  # for its type alone, so that this module needs no TensorFlow


@dataclasses.dataclass(frozen=True, eq=False)
class NeighborTable:
    """The nearest source images of every target image, in ascending divergence, ties by lower index.

    The list for K is the first K entries of a row, so one deep search serves every K up to `depth`.

    Attributes:
        indices: `[n_target, depth]` int32, source indices; no index twice in a row.
        divergences: `[n_target, depth]` float32, what the rows ascend by: >= 0, Eq. (1) in nats, the squared Hellinger
            distance, or the squared distance of features; with hubness "csls" that less half of the source image's mean
            to its 10 nearest target images, which may be below 0.
        hubness: "none" or "csls".
        target_fingerprint, source_fingerprint: of the domains; empty where not known, as of a table of descriptors.

    Raises:
        InputError: the arrays do not have these properties.

    Reference: for "csls", Conneau, Lample, Ranzato, Denoyer, Jégou, Word translation without parallel data, ICLR 2018;
    their score takes half of the target's mean off, too, which orders no row.
    """

    indices: np.ndarray
    divergences: np.ndarray
    hubness: str = "none"
    target_fingerprint: str = ""
    source_fingerprint: str = ""

    def __post_init__(self) -> None:
        fault = _fault(self.indices, self.divergences, self.hubness)
        if fault:
            raise InputError(f"neighbor table: {fault}")

    def __len__(self) -> int:
        """The number of target images."""
        return len(self.indices)

    @property
    def depth(self) -> int:
        """The number of neighbors of each target image."""
        return int(self.indices.shape[1])

    def of(self, target: "Domain", source: "Domain") -> "NeighborTable":
        """The same table, which says of which domains it is; they must be those it was made from."""
        return dataclasses.replace(
            self, target_fingerprint=target.fingerprint(), source_fingerprint=source.fingerprint()
        )

    def check(self, target: "Domain", source: "Domain | None" = None) -> None:
        """Raise InputError unless the table is of these domains; of a table without fingerprints, of their sizes."""
        if len(self) != len(target):
            raise InputError(f"the neighbor table has {len(self)} target images; {target.name} has {len(target)}")
        if source is not None and self.indices.max() >= len(source):
            raise InputError(
                f"the neighbor table names source image {self.indices.max()}; {source.name} has {len(source)} images"
            )
        sides = [("target", self.target_fingerprint, target), ("source", self.source_fingerprint, source)]
        for side, fingerprint, domain in sides:
            if domain is not None and fingerprint and fingerprint != (found := domain.fingerprint()):
                raise InputError(
                    f"the neighbor table was made with another {side} than {domain.name}: fingerprint {fingerprint} "
                    f"there, {found} here; search again"
                )

    def rows(self, kept: np.ndarray) -> "NeighborTable":
        """The table of `Subset(target, kept)`, whose fingerprint it carries; `kept` is `[n]` int."""
        kept = np.asarray(kept, np.int64)
        part = files.digest(self.target_fingerprint, kept) if self.target_fingerprint else ""
        return dataclasses.replace(
            self, indices=self.indices[kept], divergences=self.divergences[kept], target_fingerprint=part
        )

    def distinct(self, counts: np.ndarray | int) -> int:
        """The number of distinct source images within the first `counts[i]` entries of row i; an int is for every row."""
        counts = np.broadcast_to(np.asarray(counts), len(self))
        return len(np.unique(self.indices[np.arange(self.depth) < counts[:, None]]))

    def summary(self) -> str:
        """One line for people."""
        first, last = (np.median(self.divergences[:, k]) for k in (0, -1))
        return (
            f"{len(self):,} target images, {self.depth:,} neighbors each, {self.distinct(self.depth):,} distinct source "
            f"images; median divergence {first:.3g} (nearest) to {last:.3g} (farthest)"
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps, by name: see `of_arrays`."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def kinds(cls) -> dict[str, type]:
        """The abstract dtype of each of `arrays`."""
        strings = dict.fromkeys(("hubness", "target_fingerprint", "source_fingerprint"), np.str_)
        return {"indices": np.int32, "divergences": np.float32, **strings}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "NeighborTable":
        """The table of `arrays`; InputError where it is none."""
        strings = {name: str(value) for name, value in arrays.items() if name not in ("indices", "divergences")}
        return cls(arrays["indices"], arrays["divergences"], **strings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table as `.npz`."""
        files.save_arrays(path, **self.arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "NeighborTable":
        """Read a table that `save` wrote, or `neighbors.npz` of a run.

        Raises:
            InputError: the file is missing, damaged, no neighbor table, or of a version that kept no fingerprints.
        """
        arrays = files.load_arrays(path, cls.kinds())
        try:
            return cls.of_arrays(arrays)
        except InputError as error:
            raise InputError(f"{path} is no {error}") from error


def _fault(indices: np.ndarray, divergences: np.ndarray, hubness: str) -> str:
    """What is wrong with the arrays of a table, or nothing."""
    if hubness not in ("none", "csls"):
        return f'hubness is {hubness!r}, expected "none" or "csls"'
    if indices.dtype != np.int32 or divergences.dtype != np.float32:
        return f"indices are {indices.dtype} and divergences {divergences.dtype}, expected int32 and float32"
    if indices.ndim != 2 or indices.shape != divergences.shape or 0 in indices.shape:
        return f"indices {indices.shape} and divergences {divergences.shape}, expected one shape [n_target, depth]"
    with np.errstate(invalid="ignore"):  # infinity minus infinity; the first check names it
        steps = np.diff(divergences, axis=1)
    least = 0 if hubness == "none" else -np.inf
    checks = {
        "a divergence is negative or not finite": ~(np.isfinite(divergences) & (divergences >= least)),
        "an index is negative": indices < 0,
        "divergences descend": steps < 0,
        "equal divergences are not in the order of their indices": (steps == 0) & (np.diff(indices, axis=1) <= 0),
        "a source image occurs twice": np.diff(np.sort(indices, axis=1), axis=1) == 0,
    }
    for fault, wrong in checks.items():
        if wrong.any():
            return f"{fault} in row {int(wrong.any(axis=1).argmax())}"
    return ""
