"""Exact search of a source that is described as it goes: memory does not grow with it, and an interrupt costs a block.

The lists found so far are kept in a file after every block, together with the number of images searched, so that the
table is the same to the bit however often the search was stopped.
"""

import logging
import os
import pathlib

import numpy as np

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.progress import Progress
from sjft_tf.retrieval.exact import ExactSearch, Hubness
from sjft_tf.retrieval.measures import Measure
from sjft_tf.retrieval.neighbor_table import NeighborTable

logger = logging.getLogger(__name__)


def search_stream(
    targets: np.ndarray,
    source: DescribedDomain,
    measure: Measure,
    *,
    depth: int,
    hubness: Hubness = "none",
    memory_gb: float = 4.0,
    state: "SearchState | None" = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """The nearest source images of every target image, as `ExactSearch` finds them and with its errors.

    Args:
        targets, measure, depth, hubness: as in `ExactSearch`.
        source: the images to search.
        memory_gb: memory that the search may take, descriptors included, in 10^9 bytes; without influence on the table.
        state: where the search leaves how far it is, and from which it resumes.
        progress: told of the source images searched.
    """
    resident = (targets.nbytes + 2 * source.block_rows * source.row_bytes) / 1e9
    search = ExactSearch(targets, measure, depth=depth, hubness=hubness, memory_gb=memory_gb, resident_gb=resident)
    first = state.restore(search, source) if state else 0
    for start, descriptors in source.blocks(first, progress=progress):
        search.add(start, descriptors)
        if state:
            state.save(search, start + len(descriptors))
    return search.table()


class SearchState:
    """A file that says which part of a source was searched, and what was found.

    Args:
        path: the file.
        made_from: hash of target, source, describer and measure.
    """

    def __init__(self, path: str | os.PathLike[str], made_from: str) -> None:
        self.path, self._made_from = pathlib.Path(path), made_from

    def save(self, search: ExactSearch, searched: int) -> None:
        """Leave the lists of the first `searched` images."""
        files.save_arrays(self.path, keys=search.keys(), searched=np.array(searched), made_from=self._made_from)

    def restore(self, search: ExactSearch, source: DescribedDomain) -> int:
        """Give `search` the lists that were left, and return where it resumes; 0 where there is nothing to trust."""
        kinds = {"keys": np.int64, "searched": np.int64}
        left = files.load_made_from(self.path, self._made_from, kinds, otherwise="the search starts again")
        if left is None:
            return 0
        searched = int(left["searched"])
        if searched % source.block_rows and searched != len(source):
            logger.info("%s was left by a search in other blocks; the search starts again", self.path)
            return 0
        logger.info("search: resumes after %d source images", searched)
        search.resume(left["keys"])
        return searched
