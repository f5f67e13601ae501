"""Exact search of a source that is described as it goes: memory does not grow with it, and an interrupt costs a block.

The lists found so far are kept in a file after every block, together with the number of images searched, so that the
table is the same to the bit however often the search was stopped.
"""

import logging
import os

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
    state: str | os.PathLike[str] | None = None,
    made_from: str = "",
    progress: Progress | None = None,
) -> NeighborTable:
    """The nearest source images of every target image, as `ExactSearch` finds them and with its errors.

    Args:
        targets, measure, depth, hubness: as in `ExactSearch`.
        source: the images to search.
        memory_gb: memory that the search may take, descriptors included, in 10^9 bytes; without influence on the table.
        state: a file that says which part of the source was searched, and what was found; the search resumes from it.
        made_from: hash of target, source, describer and measure, which the file carries.
        progress: told of the source images searched.
    """
    resident = (targets.nbytes + 2 * source.block_rows * source.row_bytes) / 1e9
    search = ExactSearch(targets, measure, depth=depth, hubness=hubness, memory_gb=memory_gb, resident_gb=resident)
    first = _restore(search, source, state, made_from) if state else 0
    for start, descriptors in source.blocks(first, progress=progress):
        search.add(start, descriptors)
        if state:
            searched = np.array(start + len(descriptors))
            files.save_arrays(state, keys=search.keys(), searched=searched, made_from=made_from)
    return search.table()


def _restore(search: ExactSearch, source: DescribedDomain, state: str | os.PathLike[str], made_from: str) -> int:
    """Give `search` the lists that were left, and return where it resumes; 0 where there is nothing to trust."""
    kinds = {"keys": np.int64, "searched": np.int64}
    left = files.load_made_from(state, made_from, kinds, otherwise="the search starts again")
    if left is None:
        return 0
    searched = int(left["searched"])
    if searched % source.block_rows and searched != len(source):
        logger.info("%s was left by a search in other blocks; the search starts again", state)
        return 0
    logger.info("search: resumes after %d source images", searched)
    search.resume(left["keys"])
    return searched
