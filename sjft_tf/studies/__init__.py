"""Comparisons of several arms and seeds, each a run of its own; and the demo, which is one."""

from sjft_tf.studies.demo import demo
from sjft_tf.studies.runner import Failure
from sjft_tf.studies.study import run_study

__all__ = ["Failure", "demo", "run_study"]
