"""The stages of a run, each a function of a `Run`; a stage makes what it needs first, and skips what is up to date."""

from sjft_tf.stages.classify import classify
from sjft_tf.stages.demo import demo
from sjft_tf.stages.descriptors import describe, search
from sjft_tf.stages.evaluate import evaluate
from sjft_tf.stages.export import export
from sjft_tf.stages.fuse import fuse
from sjft_tf.stages.profile import advice, profile
from sjft_tf.stages.report import draw_neighbors, nearest, report
from sjft_tf.stages.run import Run
from sjft_tf.stages.study import ArmResult, study
from sjft_tf.stages.train import train

__all__ = [
    "ArmResult",
    "Run",
    "advice",
    "classify",
    "demo",
    "describe",
    "draw_neighbors",
    "evaluate",
    "export",
    "fuse",
    "nearest",
    "profile",
    "report",
    "search",
    "study",
    "train",
]
