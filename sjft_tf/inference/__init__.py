"""What a model makes of a domain's images, un-augmented."""

from sjft_tf.inference.prediction import model_image_size, predict

__all__ = ["model_image_size", "predict"]
