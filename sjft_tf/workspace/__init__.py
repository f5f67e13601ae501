"""A run folder with its experiment and opened domains: what every stage works on.

What an artifact is made from, and so when it is up to date, is the business of the stage that makes it.
"""

from sjft_tf.workspace.card import card_of, versions
from sjft_tf.workspace.folder import RunFolder
from sjft_tf.workspace.leaks import Leaks
from sjft_tf.workspace.models import initial_model
from sjft_tf.workspace.rounds import Rounds, completed_rounds, save_round
from sjft_tf.workspace.workspace import Workspace

__all__ = [
    "Leaks",
    "Rounds",
    "RunFolder",
    "Workspace",
    "card_of",
    "completed_rounds",
    "initial_model",
    "save_round",
    "versions",
]
