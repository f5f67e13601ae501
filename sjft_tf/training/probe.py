"""A linear probe: the heads alone are trained, on a trunk that stands still (Kumar et al., ICLR 2022, arXiv 2202.10054)."""

import keras

from sjft_tf.errors import InputError
from sjft_tf.training.joint_model import JointModel


def linear_probe(model: JointModel) -> JointModel:
    """A model of the same heads on the same trunk, which works as in inference and is not trained.

    Training it moves the heads of `model`. Batch normalizations of the trunk use their moving averages and leave them as
    they are, and its dropout is off. Terms and `iter_size` are those of `model`; it is to be compiled with an optimizer of
    its own:

        probe = linear_probe(model)
        probe.compile(caffe_sgd(0.01))
        probe.fit(data)

    Args:
        model: its outputs are those of layers with their names, which all have the same input.

    Raises:
        InputError: they are not.
    """
    heads = [layer for layer in model.layers if layer.name in model.output]
    if len(heads) < len(model.output) or any(head.input is not heads[0].input for head in heads):
        raise InputError(
            f"the outputs of model {model.name} are not layers of their names with one input, as a linear probe needs them"
        )
    with model.distribute_strategy.scope():
        trunk, image = keras.Model(model.input, heads[0].input), keras.Input(model.input.shape[1:])
        # Keras keeps no track of what a Lambda calls, so the trunk is no part of what is trained or saved.
        frozen = keras.layers.Lambda(lambda images: trunk(images, training=False), name="frozen_trunk", dtype="float32")
        features = frozen(image)
        outputs = {head.name: head(features) for head in heads}
        return JointModel(image, outputs, name=f"{model.name}_probe", terms=model.terms, iter_size=model.iter_size)
