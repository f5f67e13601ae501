"""Joint training of a two-headed Keras model: data pipeline, losses, optimizer, rounds.

Models are built in `models`; which source images are drawn is decided in `selection`; accuracy is `evaluation`'s.
"""

from sjft_tf.training.augmentation import largest_side
from sjft_tf.training.checkpoint import Position, load_checkpoint, save_checkpoint, training_state
from sjft_tf.training.conflict import Conflict, gradient_conflict
from sjft_tf.training.loop import replica_batches, step_function
from sjft_tf.training.losses import joint_loss, joint_metrics
from sjft_tf.training.pipeline import Shard, check_split, joint_dataset
from sjft_tf.training.resume import Checkpoints
from sjft_tf.training.rounds import NeighborExpansion, RoundEnd, end_round
from sjft_tf.training.sgd import CoupledSGD, joint_sgd, learning_rate_schedule

__all__ = [
    "Checkpoints",
    "Conflict",
    "CoupledSGD",
    "NeighborExpansion",
    "Position",
    "RoundEnd",
    "Shard",
    "check_split",
    "end_round",
    "gradient_conflict",
    "joint_dataset",
    "joint_loss",
    "joint_metrics",
    "joint_sgd",
    "largest_side",
    "learning_rate_schedule",
    "load_checkpoint",
    "replica_batches",
    "save_checkpoint",
    "step_function",
    "training_state",
]
