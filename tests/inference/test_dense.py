"""On a square of the model's size the dense form is the model; what has no dense form is refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.inference.dense import dense_probabilities
from sjft_tf.training import joint_model


def _nested(rng):
    inner_image = keras.Input((16, 16, 3))
    inner = keras.Model(inner_image, keras.layers.Conv2D(5, 3, strides=2, padding="same")(inner_image))
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(inner(keras.layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, keras.layers.Flatten()(keras.layers.Conv2D(3, 1)(x)))


def _squeeze_and_excitation(rng):
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(keras.layers.Rescaling(1 / 255)(image))
    gates = keras.layers.Reshape((1, 1, 4))(keras.layers.GlobalAveragePooling2D()(x))
    x = keras.layers.Multiply()([x, keras.layers.Conv2D(4, 1, activation="sigmoid")(gates)])
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, {"target": keras.layers.Dense(3)(x)})


MODELS = {
    "resnet": lambda rng: joint_model("resnet18v2", target_classes=3, source_classes=4, image_size=16, width=1 / 16,
                                      stem="small"),
    "squeeze and excitation": _squeeze_and_excitation,
    "a model inside, a convolution as head": _nested,
    "sequential": lambda rng: keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255),
                                                keras.layers.Conv2D(4, 3),
                                                keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]),
}  # fmt: skip


def _shaken(model, rng):
    """Weights by which answers differ from image to image."""
    model.set_weights([
        np.asarray(w) + rng.normal(0, 0.2, w.shape) * (np.asarray(w).dtype == np.float32) for w in model.get_weights()
    ])  # fmt: skip
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.ones(layer.moving_variance.shape))
    return model


@pytest.mark.parametrize("name", MODELS)
def test_on_squares_of_its_size_it_is_the_plain_model(rng, name):
    keras.utils.set_random_seed(0)
    model = _shaken(MODELS[name](rng), rng)
    size = model.inputs[0].shape[1]
    images = rng.uniform(0, 255, (5, size, size, 3)).astype(np.float32)
    logits = model(images, training=False)
    expected = tf.nn.softmax(logits["target"] if isinstance(logits, dict) else logits).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(dense_probabilities(model, size)(images), expected, atol=2e-6)


def test_it_is_traced_once_for_all_shapes_and_follows_the_weights(rng):
    model = _nested(rng)
    dense = dense_probabilities(model, 16)
    images = rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    before = dense(images).numpy()
    for shape in [(1, 16, 33, 3), (3, 40, 20, 3)]:
        np.testing.assert_allclose(dense(np.zeros(shape, np.float32)).numpy().sum(axis=1), 1, atol=1e-6)
    model.set_weights([w + 0.5 * rng.normal(size=w.shape) for w in model.get_weights()])
    after = dense(images).numpy()
    np.testing.assert_allclose(after, tf.nn.softmax(model(images)), atol=2e-6)
    assert np.abs(after - before).max() > 1e-3
    assert dense.experimental_get_tracing_count() == 1


def test_the_model_stays_as_it_was(rng):
    model = _nested(rng)
    before, inner = model.to_json(), model.layers[2]
    dense_probabilities(model, 16)
    assert model.to_json() == before
    with pytest.raises(ValueError, match="incompatible"):
        inner(np.zeros((1, 20, 20, 3)))


class _Subclassed(keras.Model):
    def call(self, images):
        return keras.ops.mean(images, (1, 2))


def _ending_in(*layers):
    return lambda: keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="conv"), *layers])


def _of_two_poolings():
    image = keras.Input((16, 16, 3))
    both = keras.layers.Concatenate(name="both")(
        [keras.layers.GlobalAveragePooling2D()(image), keras.layers.GlobalMaxPooling2D()(image)]
    )
    return keras.Model(image, keras.layers.Dense(3)(both))


REFUSED = {
    "there are head .Dense., flat .Flatten., conv": _ending_in(
        keras.layers.Flatten(name="flat"), keras.layers.Dense(3, name="head")
    ),
    "there are head .Dense., most .GlobalMaxPooling2D.": _ending_in(
        keras.layers.GlobalMaxPooling2D(name="most"), keras.layers.Dense(3, name="head")
    ),
    "there are .* both .Concatenate.": _of_two_poolings,
    "is no functional model": _Subclassed,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_dense_form_is_refused_by_name(message):
    with pytest.raises(InputError, match=message):
        dense_probabilities(REFUSED[message](), 16)
