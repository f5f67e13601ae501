"""Selective Joint Fine-tuning for TensorFlow and Keras: few target images, helped by source images that resemble them.

The names below are the public API; each is loaded when it is first used, so that importing the package costs nothing.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sjft_tf.descriptors import AlexNetBank, ConvolutionBank, FilterBank, GaborBank, KerasBank, PooledFeatures
    from sjft_tf.domains import Domain, ImageFolder, ImageTable, SyntheticImages, TFDSImages, TFRecordImages, Union
    from sjft_tf.errors import InputError
    from sjft_tf.evaluation import accuracy, mean_class_accuracy
    from sjft_tf.inference import predict
    from sjft_tf.models import JointModel, classifier, joint_model, load_weights
    from sjft_tf.retrieval import NeighborTable, find_neighbors, search_exact, symmetric_kl
    from sjft_tf.selection import Selection, deepest_k, entropy, expand_counts
    from sjft_tf.serving import export_classifier
    from sjft_tf.training import (
        Checkpoints,
        NeighborExpansion,
        end_round,
        joint_dataset,
        joint_loss,
        joint_metrics,
        joint_sgd,
        replica_batches,
        step_function,
    )

_ROOMS = {
    "descriptors": ["AlexNetBank", "ConvolutionBank", "FilterBank", "GaborBank", "KerasBank", "PooledFeatures"],
    "domains": ["Domain", "ImageFolder", "ImageTable", "SyntheticImages", "TFDSImages", "TFRecordImages", "Union"],
    "errors": ["InputError"],
    "evaluation": ["accuracy", "mean_class_accuracy"],
    "models": ["JointModel", "classifier", "joint_model", "load_weights"],
    "retrieval": ["NeighborTable", "find_neighbors", "search_exact", "symmetric_kl"],
    "selection": ["Selection", "deepest_k", "entropy", "expand_counts"],
    "serving": ["export_classifier"],
    "training": [
        "Checkpoints",
        "NeighborExpansion",
        "end_round",
        "joint_dataset",
        "joint_loss",
        "joint_metrics",
        "joint_sgd",
        "predict",
        "replica_batches",
        "step_function",
    ],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AlexNetBank",
    "Checkpoints",
    "ConvolutionBank",
    "Domain",
    "FilterBank",
    "GaborBank",
    "ImageFolder",
    "ImageTable",
    "InputError",
    "JointModel",
    "KerasBank",
    "NeighborExpansion",
    "NeighborTable",
    "PooledFeatures",
    "Selection",
    "SyntheticImages",
    "TFDSImages",
    "TFRecordImages",
    "Union",
    "accuracy",
    "classifier",
    "deepest_k",
    "end_round",
    "entropy",
    "expand_counts",
    "export_classifier",
    "find_neighbors",
    "joint_dataset",
    "joint_loss",
    "joint_metrics",
    "joint_model",
    "joint_sgd",
    "load_weights",
    "mean_class_accuracy",
    "predict",
    "replica_batches",
    "search_exact",
    "step_function",
    "symmetric_kl",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("sjft-tf")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
