"""Filter banks, bin edges and descriptors."""

from sjft_tf.descriptors.alexnet import AlexNetBank
from sjft_tf.descriptors.bank import FeatureExtractor, FilterBank
from sjft_tf.descriptors.convolution_bank import ConvolutionBank
from sjft_tf.descriptors.described import DescribedDomain, Describer
from sjft_tf.descriptors.edges import BinEdges
from sjft_tf.descriptors.engine import FeatureDescriber, HistogramDescriber, fit_bin_edges
from sjft_tf.descriptors.gabor import GaborBank
from sjft_tf.descriptors.keras_bank import KerasBank, PooledFeatures

__all__ = [
    "AlexNetBank",
    "BinEdges",
    "ConvolutionBank",
    "DescribedDomain",
    "Describer",
    "FeatureDescriber",
    "FeatureExtractor",
    "FilterBank",
    "GaborBank",
    "HistogramDescriber",
    "KerasBank",
    "PooledFeatures",
    "fit_bin_edges",
]
