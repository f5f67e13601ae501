"""What happens around the steps of a training: the same objects in `model.fit` and behind `sjft-tf run`."""

from sjft_tf.training.callbacks.checkpoint import Checkpoint
from sjft_tf.training.callbacks.conflict import GradientConflict
from sjft_tf.training.callbacks.curves import LossCurves
from sjft_tf.training.callbacks.expansion import NeighborExpansion
from sjft_tf.training.callbacks.plain import plain_model
from sjft_tf.training.callbacks.preemption import Preemption
from sjft_tf.training.callbacks.progress import TrainingProgress
from sjft_tf.training.callbacks.recalibration import BatchNormalizationRecalibration
from sjft_tf.training.callbacks.restart import OptimizerRestart
from sjft_tf.training.callbacks.validation import ValidationAccuracy

__all__ = [
    "BatchNormalizationRecalibration",
    "Checkpoint",
    "GradientConflict",
    "LossCurves",
    "NeighborExpansion",
    "OptimizerRestart",
    "Preemption",
    "TrainingProgress",
    "ValidationAccuracy",
    "plain_model",
]
