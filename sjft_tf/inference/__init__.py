"""What a model makes of a domain's images, un-augmented."""

from sjft_tf.inference.prediction import predict

__all__ = ["predict"]
