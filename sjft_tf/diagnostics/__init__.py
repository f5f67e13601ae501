"""What a good engineer would notice about a training, as functions of its history."""

from sjft_tf.diagnostics.setting import Setting
from sjft_tf.diagnostics.warnings import warnings

__all__ = ["Setting", "warnings"]
