"""Trunks, the joint model with its two heads, and weights by layer name; training and export are other rooms."""

from sjft_tf.models.accumulation import JointModel
from sjft_tf.models.backbones import backbone_names, build_trunk
from sjft_tf.models.joint_model import classifier, joint_model
from sjft_tf.models.normalization import PerDomainBatchNormalization, recalibrate_batch_normalization
from sjft_tf.models.weights.loading import HEADS, WeightReport, load_weights

__all__ = [
    "HEADS",
    "JointModel",
    "PerDomainBatchNormalization",
    "WeightReport",
    "backbone_names",
    "build_trunk",
    "classifier",
    "joint_model",
    "load_weights",
    "recalibrate_batch_normalization",
]
