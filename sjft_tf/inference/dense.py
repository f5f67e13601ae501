"""A classifier of squares applied at every position of larger images: its fully convolutional form."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from sjft_tf.errors import InputError


def dense_probabilities(model: keras.Model, image_size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Class probabilities of images of any size, the mean over all positions of the model's window.

    The global average pooling becomes an average over a window as large as the feature map of an image of
    `image_size`, at stride 1; what follows it is applied at each position, then the softmax. The layers are the model's
    own, so its weights count as they are at each call. Global pooling further inside, as of squeeze and excitation,
    stays global.

    Args:
        model: functional; its output, or its output `target`, is logits, computed from a GlobalAveragePooling2D by a
            chain of layers.
        image_size: S, the side in pixels of the images that the model was made for.

    Returns:
        A function of float32 images `[b, H, W, 3]`, H and W at least S, to float32 `[b, n_classes]`; it is traced once
        for all shapes, and runs on one device. On images `[b, S, S, 3]` it is the plain model.

    Raises:
        InputError: the model has no such form; it says which layer stands in the way.

    Reference: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
    section 3.2.
    """
    outputs = getattr(model, "outputs", None)  # a subclassed model has none
    if not outputs:
        raise InputError(f"model {model.name!r} is no functional model, so it cannot be applied densely")
    logits = outputs[0] if len(outputs) == 1 else model.output["target"]
    features, pooled, head = _pooling_and_head(model, logits)
    square = (None, image_size, image_size, 3)
    maps_of_square = features.output.shape if features.input_shape == square else features.compute_output_shape(square)
    window = maps_of_square[1:3]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)], autograph=False)
    def probabilities(images: tf.Tensor) -> tf.Tensor:
        maps = tf.cast(features(images, training=False), tf.float32)
        means = tf.nn.avg_pool2d(maps, window, strides=1, padding="VALID")
        rows = tf.cast(tf.reshape(means, (-1, *pooled.shape[1:])), pooled.dtype)
        for layer in head:
            rows = layer(rows)
        by_position = tf.nn.softmax(tf.cast(rows, tf.float32))
        return tf.reduce_mean(tf.reshape(by_position, (tf.shape(images)[0], -1, logits.shape[-1])), axis=1)

    try:
        with _taking_any_size(features):
            probabilities.get_concrete_function()
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"model {model.name!r} cannot be applied to images of other sizes: {reason}") from error
    return probabilities


@contextlib.contextmanager
def _taking_any_size(model: keras.Model) -> Iterator[None]:
    """Meanwhile the model, and models inside it, do not insist on the size of image that they were made for."""
    with contextlib.ExitStack() as afterwards:
        for inner in (model, *_models_inside(model)):
            afterwards.callback(setattr, inner, "input_spec", inner.input_spec)
            inner.input_spec = None
        yield


def _models_inside(model: keras.Model) -> Iterator[keras.Model]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield layer
            yield from _models_inside(layer)


def _pooling_and_head(
    model: keras.Model, logits: keras.KerasTensor
) -> tuple[keras.Model, keras.KerasTensor, list[keras.layers.Layer]]:
    """The model up to its last global average pooling, what comes out of that, and the layers from there on, in order."""
    made_by: dict[int, tuple[keras.Operation, list]] = {}

    def note(operation: keras.Operation, *inputs: Any, **settings: Any) -> Any:
        outputs = operation(*inputs, **settings)
        tensors = [value for value in (*inputs, *settings.values()) if isinstance(value, keras.KerasTensor)]
        made_by.update({id(output): (operation, tensors) for output in tf.nest.flatten(outputs)})
        return outputs

    # A clone of shared layers, for its calls are told to `note`: Keras has no other public way to ask who made a tensor.
    graph = keras.models.clone_model(
        keras.Model(model.inputs, logits), clone_function=lambda layer: layer, call_function=note
    )
    head: list[keras.layers.Layer] = []
    tensor = graph.outputs[0]
    while True:
        layer, inputs = made_by.get(id(tensor), (None, []))
        if isinstance(layer, keras.layers.GlobalAveragePooling2D) and layer.data_format == "channels_last":
            return keras.Model(graph.inputs, inputs[0]), tensor, head[::-1]
        if not isinstance(layer, keras.layers.Layer) or len(inputs) != 1:
            break
        head.append(layer)
        tensor = inputs[0]
    seen = [f"{layer.name} ({type(layer).__name__})" for layer in [*head, layer] if layer is not None]
    raise InputError(
        f"model {model.name!r} cannot be applied densely: its logits must come from a GlobalAveragePooling2D by a chain "
        f"of layers, and seen from the logits there are {', '.join(seen[:4])}{' ...' if len(seen) > 4 else ''}"
    )
