"""Accuracy of predictions. Making the predictions is `training.predict`'s; drawing them is `reporting`'s."""

from sjft_tf.evaluation.metrics import accuracy, confusion_matrix, mean_class_accuracy, per_class_accuracy

__all__ = ["accuracy", "confusion_matrix", "mean_class_accuracy", "per_class_accuracy"]
