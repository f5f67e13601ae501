"""Several domains as one."""

from collections.abc import Sequence

import numpy as np

from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.errors import InputError
from sjft_tf.files import digest


class Union(Domain):
    """Domains side by side, as the paper's source of ImageNet and Places: label spaces are concatenated, not merged.

    Ids and class names get the prefix `0:NAME/`, `1:NAME/`, ... of their domain, so that a class that two domains share
    appears twice.

    Args:
        domains: one or more.

    Raises:
        InputError: there is no domain.
    """

    def __init__(self, domains: Sequence[Domain]) -> None:
        if not domains:
            raise InputError("a union holds no domain; give it one or more")
        self._domains = tuple(domains)
        width = len(str(len(domains) - 1))
        prefixes = [f"{number:0{width}d}:{domain.name}/" for number, domain in enumerate(domains)]
        pairs = list(zip(prefixes, domains, strict=True))
        self.name = " + ".join(domain.name for domain in domains)
        self.ids = tuple(prefix + name for prefix, domain in pairs for name in domain.ids)
        self.class_names = tuple(prefix + name for prefix, domain in pairs for name in domain.class_names)
        self.rejected = tuple(Rejected(prefix + r.id, r.reason) for prefix, domain in pairs for r in domain.rejected)
        classes = np.cumsum([0] + [len(domain.class_names) for domain in domains[:-1]])
        self.labels = np.concatenate(
            [domain.labels + first for domain, first in zip(domains, classes, strict=True)]
        ).astype(np.int32)
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
