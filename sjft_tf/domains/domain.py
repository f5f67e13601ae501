"""What every room may ask of a labelled image collection."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rejected:
    """A file that was found and left out, and why, in words for the user."""

    id: str
    reason: str


class Domain(Protocol):
    """A labelled image collection with random access; the order of its images never changes.

    Attributes:
        name: a short name for messages and reports.
        ids: `[n]` unique, sorted names of the images.
        labels: `[n]` int32, positions in `class_names`.
        class_names: `[n_classes]`; a class may have no image.
        rejected: the files that were left out when the collection was indexed.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def ids(self) -> Sequence[str]:
        """See above."""

    @property
    def labels(self) -> np.ndarray:
        """See above."""

    @property
    def class_names(self) -> Sequence[str]:
        """See above."""

    @property
    def rejected(self) -> Sequence[Rejected]:
        """See above."""

    def __len__(self) -> int:
        """Number of images."""

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded bytes (JPEG, PNG, GIF, BMP or WebP) of the images at `indices`, in that order."""

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and image bytes; not of where the files lie."""
