"""Exact search of a source that is described as it goes: memory does not grow with it, and an interrupt costs a block.

The lists found so far are kept in a file after every block, together with the number of images searched. Lists of any
part of the source are exact for that part, so that the table is the same to the bit however often the search was stopped.
"""

import logging
import os

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress
from sjft_tf.retrieval.exact import ExactSearch
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable

logger = logging.getLogger(__name__)

_TILE_ROWS = 1024  # more make the product no faster
_LIFTED = 70  # bytes for each number of a descriptor of either side while it is lifted and multiplied
_SCORED = 4  # bytes for each pair of a tile and a block
_CANDIDATE = 40  # bytes for each of those pairs that may be in the table, about one a neighbor


def search_stream(
    targets: np.ndarray,
    source: DescribedDomain,
    measure: Measure,
    *,
    max_k: int,
    memory_gb: float = 4.0,
    state: "SearchState | None" = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """The `max_k` nearest source images of every target image, as `search_exact` finds them.

    Args:
        targets: the target's descriptors, `[n_target, ...]`, all of which stay in memory.
        source: the images to search.
        measure: by what descriptors are compared.
        max_k: neighbors of each target image.
        memory_gb: memory that the search may take, in 10^9 bytes; without influence on the table.
        state: where the search leaves how far it is, and goes on from.
        progress: told of the source images searched.

    Raises:
        InputError: the descriptors do not belong to the measure, or so little memory does not suffice.
    """
    search = ExactSearch(targets, measure, max_k=max_k, tile_rows=tile_rows(targets, source, max_k, memory_gb))
    first = state.restore(search, source) if state else 0
    for start, descriptors in source.blocks(first, progress=progress):
        search.add(start, descriptors)
        if state:
            state.save(search, start + len(descriptors))
    return search.table()


def tile_rows(targets: np.ndarray, source: DescribedDomain, max_k: int, memory_gb: float) -> int:
    """Images of either side to be multiplied at a time, so that a search stays within its memory.

    Raises:
        InputError: not even one fits.
    """
    values = targets[0].size
    resident = targets.nbytes + 3 * 8 * len(targets) * max_k + 2 * source.block_rows * source.row_bytes
    each = _LIFTED * values + _SCORED * source.block_rows + _CANDIDATE * min(2 * max_k, source.block_rows)
    rows = int((1e9 * memory_gb - resident) // each)
    if rows < 1:
        least = (resident + each) / 1e9
        raise InputError(
            f"retrieval.memory_gb is {memory_gb:g}; {len(targets):,} target images with {values:,} numbers and "
            f"{max_k:,} neighbors each need at least {least:.2g}"
        )
    return min(rows, _TILE_ROWS)


class SearchState:
    """A file that says which part of a source was searched, and what was found.

    Args:
        path: the file.
        made_from: hash of target, source, describer and measure.
    """

    def __init__(self, path: str | os.PathLike[str], made_from: str) -> None:
        self.path, self._made_from = path, made_from

    def save(self, search: ExactSearch, searched: int) -> None:
        """Leave the lists of the first `searched` images."""
        files.save_arrays(self.path, keys=search.keys, searched=np.array(searched), made_from=self._made_from)

    def restore(self, search: ExactSearch, source: DescribedDomain) -> int:
        """Give `search` the lists that were left, and return where it goes on; 0 where there is nothing to trust."""
        kinds = {"keys": np.int64, "searched": np.int64}
        left = files.load_made_from(self.path, self._made_from, kinds, otherwise="the search starts again")
        if left is None:
            return 0
        searched = int(left["searched"])
        if searched % source.block_rows and searched != len(source):
            logger.info("%s was left by a search in other blocks; the search starts again", self.path)
            return 0
        logger.info("search: goes on after %d source images", searched)
        search.keys = left["keys"]
        return searched

    def remove(self) -> None:
        """Delete the file, once there is a table."""
        if os.path.exists(self.path):
            os.unlink(self.path)
