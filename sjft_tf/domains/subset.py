"""Some images of a domain as a domain."""

import numpy as np

from sjft_tf.domains.domain import Domain
from sjft_tf.errors import InputError
from sjft_tf.files import digest


class Subset(Domain):
    """Rows of a domain; all of its class names stay, so that labels keep their meaning, and what it rejected.

    Args:
        domain: where the images are.
        rows: `[n]` int, positions in the domain, ascending.

    Raises:
        InputError: the rows are not ascending, one is there twice, or one is outside of the domain.

    Example:
        few = Subset(domain, np.flatnonzero(domain.labels < 10))
    """

    def __init__(self, domain: Domain, rows: np.ndarray) -> None:
        rows = np.array(rows, np.int64)
        if rows.ndim != 1 or (np.diff(rows) <= 0).any():
            raise InputError(f"the rows of a subset of {domain.name} are not ascending; sort them, each once")
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(domain)):
            raise InputError(
                f"the rows of a subset are {rows[0]} to {rows[-1]}; {domain.name} has {len(domain)} images"
            )
        self._domain, self._rows = domain, rows
        self.name = f"{domain.name}, {len(rows):,} of {len(domain):,}"
        self.class_names, self.rejected = domain.class_names, domain.rejected
        self.ids = tuple(domain.ids[row] for row in rows)
        self.labels = np.asarray(domain.labels)[rows]

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded images at `indices`, in that order."""
        return self._domain.encoded(self._rows[np.asarray(indices)])

    def fingerprint(self) -> str:
        """A hash of the domain's fingerprint and the rows."""
        return digest(self._domain.fingerprint(), self._rows)
