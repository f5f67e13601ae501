"""Trunks, heads on them, batch normalization by domain, and weights by layer name; training and export are other rooms."""

from sjft_tf.models.backbones import build_trunk, own_trunk
from sjft_tf.models.classifier import classifier, dense_heads
from sjft_tf.models.normalization import PerDomainBatchNormalization, recalibrate_batch_normalization
from sjft_tf.models.weights.loading import WeightReport, load_weights

__all__ = [
    "PerDomainBatchNormalization",
    "WeightReport",
    "build_trunk",
    "classifier",
    "dense_heads",
    "load_weights",
    "own_trunk",
    "recalibrate_batch_normalization",
]
