"""What every room may ask of a labeled image collection."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Rejected(NamedTuple):
    """A file that was found and left out, and why, in words for the user."""

    id: str
    reason: str


class Domain(Protocol):
    """A labeled image collection with random access; the order of its images never changes."""

    name: str  # a short one, for messages and reports
    ids: Sequence[str]  # `[n]` unique, sorted
    labels: np.ndarray  # `[n]` int32, positions in `class_names`
    class_names: Sequence[str]  # a class may have no image
    rejected: Sequence[Rejected] = ()  # what was left out when the collection was indexed

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded bytes (JPEG, PNG, GIF, BMP or WebP) of the images at `indices`, in that order."""

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and image bytes; not of where the files lie."""


def rejected_csv(domains: Mapping[str, Domain]) -> str:
    """The text of `rejected.csv`: `domain,id,reason` of each file that was left out, by role (target, ...), then by id."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("domain", "id", "reason"))
    for role, domain in domains.items():
        rows.writerows((role, *file) for file in domain.rejected)
    return text.getvalue()
