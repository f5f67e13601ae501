"""Filter banks, bin edges and descriptors."""

from sjft_tf.descriptors.alexnet import alexnet
from sjft_tf.descriptors.alexnet_bank import AlexNetBank
from sjft_tf.descriptors.bank import FilterBank
from sjft_tf.descriptors.convolution_bank import ConvolutionBank
from sjft_tf.descriptors.described import DescribedDomain
from sjft_tf.descriptors.describer import Describer
from sjft_tf.descriptors.edges import BinEdges
from sjft_tf.descriptors.engine import HistogramDescriber, describe, fit_bin_edges
from sjft_tf.descriptors.features import FeatureDescriber, FeatureExtractor
from sjft_tf.descriptors.gabor import GaborBank
from sjft_tf.descriptors.keras_bank import KerasBank, PooledFeatures
from sjft_tf.descriptors.store import DescriptorStore

__all__ = [
    "AlexNetBank",
    "BinEdges",
    "ConvolutionBank",
    "DescribedDomain",
    "Describer",
    "DescriptorStore",
    "FeatureDescriber",
    "FeatureExtractor",
    "FilterBank",
    "GaborBank",
    "HistogramDescriber",
    "KerasBank",
    "PooledFeatures",
    "alexnet",
    "describe",
    "fit_bin_edges",
]
