"""Domains made of domains: some images of one, or several as one."""

from collections.abc import Sequence

import numpy as np

from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.domains.labeled import numbered
from sjft_tf.errors import InputError
from sjft_tf.files import digest


class Subset(Domain):
    """Rows of a domain. All of its class names stay, so that labels keep their meaning; and what it rejected.

    Args:
        rows: `[n]` int, positions in the domain, ascending.
        class_names: the label space in its order; some of the domain's, if not all.

    Raises:
        InputError: the rows are not ascending, one is there twice, or one is outside of the domain; or an image's class is
            not in `class_names`.

    Example:
        few = Subset(domain, np.flatnonzero(domain.labels < 10))
    """

    def __init__(self, domain: Domain, rows: np.ndarray, class_names: Sequence[str] | None = None) -> None:
        rows = np.array(rows, np.int64)
        if rows.ndim != 1 or (np.diff(rows) <= 0).any():
            raise InputError(f"the rows of a subset of {domain.name} are not ascending; sort them, each once")
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(domain)):
            raise InputError(
                f"the rows of a subset are {rows[0]} to {rows[-1]}; {domain.name} has {len(domain)} images"
            )
        self._domain, self._rows = domain, rows
        self.name = f"{domain.name}, {len(rows):,} of {len(domain):,}"
        self.rejected = domain.rejected
        self.ids = tuple(domain.ids[row] for row in rows)
        labels = np.asarray(domain.labels)[rows]
        present = [domain.class_names[label] for label in np.unique(labels)]
        numbers = numbered(domain.name, present, domain.class_names if class_names is None else class_names)
        self.class_names = domain.class_names if class_names is None else tuple(class_names)
        self.labels = np.array([numbers.get(name, -1) for name in domain.class_names], np.int32)[labels]

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded images at `indices`, in that order."""
        return self._domain.encoded(self._rows[np.asarray(indices)])

    def fingerprint(self) -> str:
        """A hash of the domain's fingerprint, the rows and, where they are others, the class names."""
        renamed = [] if tuple(self.class_names) == tuple(self._domain.class_names) else [list(self.class_names)]
        return digest(self._domain.fingerprint(), self._rows, *renamed)


class Union(Domain):
    """Domains side by side, as the paper's source of ImageNet and Places: label spaces are concatenated, not merged.

    Ids and class names get the prefix `0:NAME/`, `1:NAME/`, ... of their domain, so that a class that two domains share
    appears twice.

    Raises:
        InputError: there is no domain.
    """

    def __init__(self, domains: Sequence[Domain]) -> None:
        if not domains:
            raise InputError("a union holds no domain; give it one or more")
        self._domains = tuple(domains)
        width = len(str(len(domains) - 1))
        pairs = [(f"{number:0{width}d}:{domain.name}/", domain) for number, domain in enumerate(domains)]
        self.name = " + ".join(domain.name for domain in domains)
        self.ids = tuple(prefix + name for prefix, domain in pairs for name in domain.ids)
        self.class_names = tuple(prefix + name for prefix, domain in pairs for name in domain.class_names)
        self.rejected = tuple(Rejected(prefix + r.id, r.reason) for prefix, domain in pairs for r in domain.rejected)
        classes = np.cumsum([0, *(len(domain.class_names) for domain in domains)])
        labels = [domain.labels + first for domain, first in zip(domains, classes[:-1], strict=True)]
        self.labels = np.concatenate(labels).astype(np.int32)
        self._ends = np.cumsum([len(domain) for domain in domains])

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded images at `indices`, in that order; each domain is asked once."""
        indices = np.asarray(indices)
        owners = np.searchsorted(self._ends, indices, side="right")
        images: list[bytes] = [b""] * len(indices)
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            first = self._ends[owner] - len(self._domains[owner])
            for place, image in zip(places, self._domains[owner].encoded(indices[places] - first), strict=True):
                images[place] = image
        return images

    def fingerprint(self) -> str:
        """A hash of the domains' fingerprints, in their order, and of their names, which are in the ids."""
        return digest(list(self.class_names), [domain.fingerprint() for domain in self._domains])
