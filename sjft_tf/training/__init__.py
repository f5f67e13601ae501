"""Joint training of a two-headed Keras model: data pipeline, losses, optimizer, rounds.

Models are built in `models`; which source images are drawn is decided in `selection`; accuracy is `evaluation`'s.
"""

from sjft_tf.training.augmentation import augment
from sjft_tf.training.losses import joint_loss, joint_metrics
from sjft_tf.training.pipeline import joint_dataset
from sjft_tf.training.prediction import model_image_size, predict
from sjft_tf.training.rounds import NeighborExpansion
from sjft_tf.training.sgd import CoupledSGD, joint_sgd, learning_rate_schedule

__all__ = [
    "CoupledSGD",
    "NeighborExpansion",
    "augment",
    "joint_dataset",
    "joint_loss",
    "joint_metrics",
    "joint_sgd",
    "learning_rate_schedule",
    "model_image_size",
    "predict",
]
