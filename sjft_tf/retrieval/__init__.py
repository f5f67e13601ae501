"""Which source images are nearest to each target image: the divergence, its search, and the table of neighbors.

What is done with the table is `selection`'s; how images become descriptors is `descriptors`'.
"""

from sjft_tf.retrieval.approximate import ScannSearch
from sjft_tf.retrieval.divergence import lift_sources, lift_targets, symmetric_kl
from sjft_tf.retrieval.exact import ExactSearch, search_exact
from sjft_tf.retrieval.find import find_neighbors
from sjft_tf.retrieval.lifts import squared_distance
from sjft_tf.retrieval.measures import Measure, SquaredDistance, SymmetricKL
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.scann_options import ScannOptions
from sjft_tf.retrieval.streaming import SearchState, search_stream

__all__ = [
    "ExactSearch",
    "Measure",
    "NeighborTable",
    "ScannOptions",
    "ScannSearch",
    "SearchState",
    "SquaredDistance",
    "SymmetricKL",
    "find_neighbors",
    "lift_sources",
    "lift_targets",
    "search_exact",
    "search_stream",
    "squared_distance",
    "symmetric_kl",
]
