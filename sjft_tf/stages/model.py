"""The model of an experiment, and what its settings come to on this machine."""

from typing import Literal

import keras
import tensorflow as tf

from sjft_tf.config import Experiment, TrainingConfig
from sjft_tf.models import joint_model


def build_model(
    experiment: Experiment, target_classes: int, source_classes: int | None, strategy: tf.distribute.Strategy
) -> keras.Model:
    """The joint model with its initial weights, on the devices of `strategy`; equal seeds give equal weights."""
    settings = experiment.model
    keras.utils.set_random_seed(experiment.seed)
    keras.mixed_precision.set_global_policy(precision(experiment.training))
    with strategy.scope():
        return joint_model(
            settings.backbone,
            target_classes=target_classes,
            source_classes=source_classes,
            weights=settings.weights,
            image_size=experiment.image_size,
            width=settings.width,
            alpha=settings.alpha,
            stem=settings.stem,
            bn=settings.bn,
            bn_momentum=settings.bn_momentum,
        )


def precision(training: TrainingConfig) -> Literal["float32", "mixed_bfloat16"]:
    """As set, or bfloat16 where every GPU computes in it (since NVIDIA's Ampere), float32 elsewhere."""
    if training.precision is not None:
        return training.precision
    gpus = tf.config.list_physical_devices("GPU")
    capable = [(tf.config.experimental.get_device_details(gpu).get("compute_capability") or (0, 0)) for gpu in gpus]
    return "mixed_bfloat16" if gpus and min(capable) >= (8, 0) else "float32"


def jit_compile(training: TrainingConfig, strategy: tf.distribute.Strategy) -> bool:
    """As set, or on a single GPU: on CPUs XLA made steps up to seven times slower, and it fails across replicas there."""
    if training.jit_compile is not None:
        return training.jit_compile
    return strategy.num_replicas_in_sync == 1 and bool(tf.config.list_physical_devices("GPU"))
