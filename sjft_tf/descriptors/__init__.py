"""Filter banks, bin edges and descriptors."""

from sjft_tf.descriptors.bank import FilterBank
from sjft_tf.descriptors.edges import BinEdges
from sjft_tf.descriptors.engine import describe, fit_bin_edges
from sjft_tf.descriptors.gabor import GaborBank

__all__ = ["BinEdges", "FilterBank", "GaborBank", "describe", "fit_bin_edges"]
