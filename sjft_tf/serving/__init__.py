"""What leaves the house: the target classifier as plain Keras and as a SavedModel taking image bytes; its model card.

Running a server, and the run folder that an export is made from, are other people's and other rooms' business.
"""

from sjft_tf.serving.card import Card, DataRow
from sjft_tf.serving.export import export_classifier

__all__ = ["Card", "DataRow", "export_classifier"]
