"""Source images that are also images of the target, validation or test domain: found, left out and listed."""

import logging
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sjft_tf import files
from sjft_tf.domains import Domain, Duplicates, Subset, find_duplicates
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress

_ARRAYS = {"positions": np.int32, "distances": np.float32, "exact": np.bool_}
_logger = logging.getLogger(__name__)


class Leaks(NamedTuple):
    """What of some domains each source image resembles most, and from what distance on it stays.

    Attributes:
        source: the source, whole.
        others: the domains that may not be in it, by role.
        found: of each image of the source, the most similar image of the others.
        limit: squared distance below which two images count as one.
    """

    source: Domain
    others: Mapping[str, Domain]
    found: Duplicates
    limit: float

    @property
    def dropped(self) -> np.ndarray:
        """`[n_source]` bool, of the whole source."""
        return self.found.within(self.limit)

    def kept(self) -> Domain:
        """The source without the images that the others have; itself, if they have none.

        Raises:
            InputError: they have all of them.
        """
        rows = np.flatnonzero(~self.dropped)
        if not len(rows):
            others = ", ".join(self.others)
            raise InputError(
                f"source: each of the {len(self.source):,} images of {self.source.name} is one of {others}, too"
            )
        return Subset(self.source, rows) if len(rows) < len(self.source) else self.source

    def other(self, row: int) -> tuple[str, int]:
        """Role and position of the image that the source image `row` resembles most."""
        position = int(self.found.positions[row])
        for role, domain in self.others.items():
            if position < len(domain):
                return role, position
            position -= len(domain)
        raise IndexError(row)

    def csv(self) -> str:
        """The text of `duplicates.csv`: `source,role,id,distance,kind` of each image that is left out, by source id."""
        rows = []
        for row in np.flatnonzero(self.dropped).tolist():
            role, position = self.other(row)
            distance, kind = self.found.distances[row], "exact" if self.found.exact[row] else "near"
            rows.append((self.source.ids[row], role, self.others[role].ids[position], f"{distance:.4f}", kind))
        return files.csv_text(("source", "role", "id", "distance", "kind"), rows)

    def words(self) -> str:
        """How many images are left out, in a sentence."""
        exact, dropped = int(self.found.exact.sum()), int(self.dropped.sum())
        return (
            f"{dropped:,} of {len(self.source):,} source images left out as duplicates of {', '.join(self.others)}: "
            f"{exact:,} with the same bytes, {dropped - exact:,} nearer than {self.limit:g}"
        )


def find_leaks(
    source: Domain,
    others: Mapping[str, Domain],
    limit: float,
    *,
    cache: str | os.PathLike[str],
    progress: Progress | None = None,
) -> Leaks:
    """What of the others each source image resembles most.

    Args:
        source: the source.
        others: by role.
        limit: squared distance below which two images count as one; the cache serves all limits.
        cache: a file that remembers it for these very images.
        progress: told how many images have been read.
    """
    made_from = files.digest("duplicates 1", [domain.fingerprint() for domain in (source, *others.values())])
    held = files.load_made_from(cache, made_from, _ARRAYS, otherwise="duplicates are looked for again")
    if held is None:
        n_others = sum(map(len, others.values()))
        _logger.info("source: looking for duplicates of %d images among %d source images", n_others, len(source))
        held = find_duplicates(source, list(others.values()), progress=progress)._asdict()
        files.save_arrays(cache, made_from=made_from, **held)
    return Leaks(source, others, Duplicates(**held), limit)
