"""Every format of weight file, read without running anything that is in it."""

from sjft_tf.models.weights.alexnet import AlexNetWeights, read_alexnet_weights, save_alexnet_weights
from sjft_tf.models.weights.loading import WeightReport, load_weights

__all__ = [
    "AlexNetWeights",
    "WeightReport",
    "load_weights",
    "read_alexnet_weights",
    "save_alexnet_weights",
]
