"""The filter bank, or feature extractor, of an experiment."""

import keras

from sjft_tf.config import DescriptorConfig
from sjft_tf.descriptors import AlexNetBank, ConvolutionBank, FilterBank, GaborBank, KerasBank, PooledFeatures
from sjft_tf.models import build_trunk, load_weights


def build_bank(settings: DescriptorConfig, image_size: int) -> FilterBank | PooledFeatures:
    """What describes the images.

    Args:
        settings: of the descriptors.
        image_size: side in pixels of the images that are described.

    Raises:
        InputError: a weight file cannot be used, or a layer is unknown.
    """
    match settings.bank:
        case "gabor":
            return GaborBank()
        case "alexnet":
            return AlexNetBank(
                settings.weights, layers=settings.layers or "conv1-conv2", tap=settings.tap or "pre_relu"
            )
        case "convolution":
            return ConvolutionBank(settings.weights or "", stride=settings.stride or 1)
    model = _trunk(settings, image_size)
    if settings.semantic:
        return PooledFeatures(model)
    return KerasBank(model, [name.strip() for name in (settings.layers or "").split(",")])


def _trunk(settings: DescriptorConfig, image_size: int) -> keras.Model:
    """A network of keras.applications up to its pooled features, in float32 whatever the training's precision."""
    policy, published = keras.mixed_precision.global_policy(), settings.weights == "imagenet"
    keras.mixed_precision.set_global_policy("float32")
    try:
        trunk = build_trunk(settings.backbone or "", image_size=image_size, alpha=settings.alpha, imagenet=published)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    if not published:
        load_weights(trunk, settings.weights or "")
    return trunk
