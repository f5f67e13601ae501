"""Joint training of a Keras model with a head for each domain: objective, data, optimizer, callbacks.

Trunks are built in `models`; which source images are drawn is decided in `selection`; accuracy is `evaluation`'s.
"""

from sjft_tf.training.augmentation import largest_side
from sjft_tf.training.callbacks.averages import AveragedWeights
from sjft_tf.training.callbacks.checkpoint import Checkpoint, TrainingProgress
from sjft_tf.training.callbacks.curves import LossCurves
from sjft_tf.training.callbacks.expansion import NeighborExpansion
from sjft_tf.training.callbacks.measures import (
    BatchNormalizationRecalibration,
    GradientConflict,
    ValidationAccuracy,
    plain_model,
)
from sjft_tf.training.callbacks.preemption import Preemption
from sjft_tf.training.callbacks.restart import OptimizerRestart
from sjft_tf.training.conflict import gradient_conflict
from sjft_tf.training.dataset import Shard, check_split, joint_dataset
from sjft_tf.training.joint_model import JointModel, joint_model
from sjft_tf.training.loop import fit_workers, replica_batches, step_function
from sjft_tf.training.objectives import Term, joint_terms
from sjft_tf.training.probe import linear_probe
from sjft_tf.training.sgd import CaffeSGD, caffe_sgd, learning_rate_schedule

__all__ = [
    "AveragedWeights",
    "BatchNormalizationRecalibration",
    "CaffeSGD",
    "Checkpoint",
    "GradientConflict",
    "JointModel",
    "LossCurves",
    "NeighborExpansion",
    "OptimizerRestart",
    "Preemption",
    "Shard",
    "Term",
    "TrainingProgress",
    "ValidationAccuracy",
    "caffe_sgd",
    "check_split",
    "fit_workers",
    "gradient_conflict",
    "joint_dataset",
    "joint_model",
    "joint_terms",
    "largest_side",
    "learning_rate_schedule",
    "linear_probe",
    "plain_model",
    "replica_batches",
    "step_function",
]
