"""Which source images a target image may draw from: entropy, Eq. (2), growth of K, Eq. (3), and the arms of a study.

Pure NumPy. The neighbor table comes from `retrieval`; drawing by it while training is `training`'s.
"""

from sjft_tf.selection.rule import Outcome, deepest_k, entropy, expand_counts, outcome
from sjft_tf.selection.selection import MODES, Selection

__all__ = ["MODES", "Outcome", "Selection", "deepest_k", "entropy", "expand_counts", "outcome"]
