"""Which source images are nearest to each target image: the divergence, its search, and the table of neighbors.

What is done with the table is `selection`'s; how images become descriptors is `descriptors`'.
"""

from sjft_tf.retrieval.approximate.search import ScannSearch, choose_method
from sjft_tf.retrieval.divergence import squared_distance, squared_hellinger, symmetric_kl
from sjft_tf.retrieval.exact import ExactSearch, search_exact
from sjft_tf.retrieval.find import find_neighbors
from sjft_tf.retrieval.measures import HistogramMeasure, Measure, SquaredDistance, measure_for
from sjft_tf.retrieval.neighbor_table import NeighborTable
from sjft_tf.retrieval.streaming import search_stream

__all__ = [
    "ExactSearch",
    "HistogramMeasure",
    "Measure",
    "NeighborTable",
    "ScannSearch",
    "SquaredDistance",
    "choose_method",
    "find_neighbors",
    "measure_for",
    "search_exact",
    "search_stream",
    "squared_distance",
    "squared_hellinger",
    "symmetric_kl",
]
