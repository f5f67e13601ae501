"""Which source images are nearest to each target image."""

from sjft_tf.retrieval.divergence import symmetric_kl
from sjft_tf.retrieval.exact import search_exact
from sjft_tf.retrieval.neighbor_table import NeighborTable

__all__ = ["NeighborTable", "search_exact", "symmetric_kl"]
