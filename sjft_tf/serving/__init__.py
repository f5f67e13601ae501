"""What leaves the house: a classifier, single or fused, as plain Keras and as a SavedModel taking image bytes; its card.

Running a server, and the run folder that an export is made from, are not its business.
"""

from sjft_tf.serving.card import Card, Row
from sjft_tf.serving.classify import classify
from sjft_tf.serving.export import check_fusion_folder, export_classifier, export_probabilities, softmax_classifier
from sjft_tf.serving.fusion import fused, own_copy

__all__ = [
    "Card",
    "Row",
    "check_fusion_folder",
    "classify",
    "export_classifier",
    "export_probabilities",
    "fused",
    "own_copy",
    "softmax_classifier",
]
