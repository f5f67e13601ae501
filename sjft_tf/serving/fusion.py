"""Model fusion: one classifier whose answer is the mean of several classifiers' probabilities (Ge & Yu, section 4)."""

from collections.abc import Sequence

import keras

from sjft_tf.errors import InputError


def own_copy(model: keras.Model, name: str) -> keras.Model:
    """The same model under another name, with weights of its own: it stays as it is when `model` changes.

    Its layers keep the precision that they compute in; replicas of `model` on several devices become one.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return keras.Model(copy.input, copy.output, name=name)


def fused(members: Sequence[keras.Model]) -> keras.Model:
    """One model that answers with the mean of its members' probabilities, taken in float32.

    The members stand in it as they are, each a layer, so that the names of their layers may coincide: it shares their
    weights, and takes the memory and the time of all of them.

    Args:
        members: at least two functional models of distinct names, each `[N, S, S, 3]` to probabilities `[N, C]`.

    Raises:
        InputError: fewer than two members, or they differ in input or number of classes.

    Reference: Ge & Yu, CVPR 2017, section 4.4, "model fusion".
    """
    if len(members) < 2:
        raise InputError(f"there is nothing to fuse: a fusion takes two models or more, not {len(members)}")
    first = members[0]
    for other in members[1:]:
        for what, shape in (("images", "input_shape"), ("probabilities", "output_shape")):
            one, two = getattr(first, shape)[1:], getattr(other, shape)[1:]
            if one != two:
                raise InputError(f"{first.name} has {what} {one} and {other.name} {two}; only equal ones can be fused")
    image = keras.Input(first.input_shape[1:], name="image")
    mean = keras.layers.Average(dtype="float32", name="probabilities")
    return keras.Model(image, mean([member(image) for member in members]), name="classifier")
