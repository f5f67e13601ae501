"""Labeled image collections: what is in them, their encoded bytes by index, and the one decoder.

Neighbors, augmentation and batches of training are other rooms' business.
"""

from sjft_tf.domains.choosing import chosen
from sjft_tf.domains.derived import Subset, Union
from sjft_tf.domains.domain import Domain, Rejected, image_batches, read_encoded, rejected_csv
from sjft_tf.domains.duplicates import Duplicates, find_duplicates
from sjft_tf.domains.image_files import ImageFolder, ImageTable
from sjft_tf.domains.synthetic import SyntheticImages
from sjft_tf.domains.tfds_images import TFDSImages
from sjft_tf.domains.tfrecord_images import TFRecordImages

__all__ = [
    "Domain",
    "Duplicates",
    "ImageFolder",
    "ImageTable",
    "Rejected",
    "Subset",
    "SyntheticImages",
    "TFDSImages",
    "TFRecordImages",
    "Union",
    "chosen",
    "find_duplicates",
    "image_batches",
    "read_encoded",
    "rejected_csv",
]
