"""Which source images are nearest to each target image: the divergence, its exact search, and the table of neighbors.

What is done with the table is `selection`'s; how images become descriptors is `descriptors`'.
"""

from sjft_tf.retrieval.divergence import lift_sources, lift_targets, symmetric_kl
from sjft_tf.retrieval.exact import ExactSearch, search_exact
from sjft_tf.retrieval.find import find_neighbors, search_domain
from sjft_tf.retrieval.neighbor_table import NeighborTable

__all__ = [
    "ExactSearch",
    "NeighborTable",
    "find_neighbors",
    "lift_sources",
    "lift_targets",
    "search_domain",
    "search_exact",
    "symmetric_kl",
]
