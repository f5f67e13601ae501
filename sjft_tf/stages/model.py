"""The model of an experiment, and the devices that it lives on."""

import contextlib
import logging

import keras
import tensorflow as tf

from sjft_tf.config import Experiment
from sjft_tf.models import joint_model

logger = logging.getLogger(__name__)


def build_model(experiment: Experiment, target_classes: int, source_classes: int | None) -> keras.Model:
    """The joint model with its initial weights; equal seeds give equal weights."""
    settings = experiment.model
    keras.utils.set_random_seed(experiment.seed)
    keras.mixed_precision.set_global_policy(experiment.training.precision)
    with _replicas():
        return joint_model(
            settings.backbone,
            target_classes=target_classes,
            source_classes=source_classes,
            weights=settings.weights,
            image_size=experiment.image_size,
            width=settings.width,
            alpha=settings.alpha,
            stem=settings.stem,
            bn_momentum=settings.bn_momentum,
        )


def _replicas() -> contextlib.AbstractContextManager:
    """The scope in which a model is built: one replica a device where there are several, else nothing special."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        return contextlib.nullcontext()
    logger.info("training on %d devices", len(devices))
    return tf.distribute.MirroredStrategy([device.name for device in devices]).scope()
