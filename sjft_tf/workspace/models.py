"""The joint model of a run, and how it computes."""

from typing import Literal

import keras
import tensorflow as tf

from sjft_tf.config import TrainingConfig
from sjft_tf.training import JointModel, devices, joint_model
from sjft_tf.workspace.workspace import Workspace


def initial_model(workspace: Workspace, strategy: tf.distribute.Strategy | None = None) -> JointModel:
    """The joint model with its initial weights; equal seeds give equal weights.

    It lives on the devices of `strategy`; None: on those of this process.
    """
    experiment, source, settings = workspace.experiment, workspace.source, dict(workspace.experiment.model)
    keras.utils.set_random_seed(experiment.seed)
    keras.mixed_precision.set_global_policy(precision(experiment.training))
    if strategy is None:
        strategy = tf.distribute.get_strategy() if devices.in_cluster() else devices.strategy()
    with strategy.scope():
        return joint_model(
            settings.pop("backbone"),
            target_classes=len(workspace.target.class_names),
            source_classes=len(source.class_names) if source is not None else None,
            image_size=experiment.image_size,
            source_weight=experiment.training.source_loss_weight,
            losses=experiment.training.losses,
            iter_size=experiment.training.iter_size,
            **settings,
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
