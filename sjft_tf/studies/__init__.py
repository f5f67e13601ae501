"""Comparisons of several arms and seeds, each a run of its own; and the demo, which is one."""

from sjft_tf.studies.demo import demo
from sjft_tf.studies.study import ArmResult, study

__all__ = ["ArmResult", "demo", "study"]
