import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors import KerasBank, PooledFeatures
from sjft_tf.errors import InputError
from sjft_tf.models import build_trunk, load_weights

WEIGHTS = pathlib.Path(os.environ.get("SJFT_WEIGHTS", pathlib.Path(__file__).parents[2] / "weights"))
MOBILENET = WEIGHTS / "mobilenet_v1_075_224_imagenet.npz"
with_mobilenet = pytest.mark.skipif(
    not MOBILENET.exists(), reason=f"{MOBILENET} is absent; set SJFT_WEIGHTS to its folder"
)
LOW = ("conv1_relu", "conv_pw_1_relu", "conv_pw_2_relu")


def small_model(rng, *, size=8, activation="relu", flipped=False):
    """Scale, 1 x 1 convolution, batch normalization, stride, dropout, pooling."""
    image = keras.Input((size, size, 3), name="image")
    x = keras.ops.flip(image, -1) if flipped else image  # a layer whose name Keras makes up
    x = keras.layers.Rescaling(1 / 255, name="scale")(x)
    x = keras.layers.Conv2D(4, 1, name="mix")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name="norm")(x)
    x = keras.layers.Activation(activation, name="act")(x)
    x = keras.layers.MaxPooling2D(2, name="half")(x)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Dropout(0.5, name="drop")(x))
    model = keras.Model(image, pooled, name="small")
    model.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in model.get_weights()])
    return model


def by_hand(model, images):
    """`mix`, and `half` as arrays, from the model's weights."""
    mixed = images / 255 @ model.get_layer("mix").kernel.numpy()[0, 0] + model.get_layer("mix").bias.numpy()
    norm = model.get_layer("norm")
    gamma, beta, mean, variance = (v.numpy() for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance))
    act = np.maximum(gamma * (mixed - mean) / np.sqrt(variance + 1e-3) + beta, 0)
    b, h, w, c = act.shape
    return mixed, act.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)


def mobilenet(size):
    model = build_trunk("mobilenet", image_size=size, alpha=0.75)
    load_weights(model, MOBILENET)
    return model


def test_maps_are_those_of_the_layers_worked_out_by_hand(rng, images):
    model = small_model(rng)
    found = KerasBank(model, ["mix", "half"]).responses(tf.constant(images))
    for group, expected in zip(found, by_hand(model, images), strict=True):
        assert group.dtype == tf.float32
        np.testing.assert_allclose(group, expected.transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-5)


def test_layers_come_in_the_order_given_each_with_the_weight_one(rng, images):
    image = keras.Input((8, 8, 3))
    wide = keras.layers.Conv2D(5, 3, name="wide")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="narrow")(wide))
    bank = KerasBank(model, ["narrow", "wide"])
    assert [group.shape[1:] for group in bank.responses(tf.constant(images))] == [(2, 4, 4), (5, 6, 6)]
    np.testing.assert_array_equal(bank.channel_weights, [1 / 2] * 2 + [1 / 5] * 5)
    assert bank.channel_names[1:3] == ("narrow, channel 1", "wide, channel 0")


def test_features_are_the_averages_of_the_last_maps_over_their_pixels(rng, images):
    model = small_model(rng)
    extractor = PooledFeatures(model)
    assert extractor.n_features == 4
    expected = by_hand(model, images)[1].mean((1, 2))
    np.testing.assert_allclose(extractor.features(tf.constant(images)), expected, rtol=1e-4, atol=1e-5)


def test_nothing_in_the_model_changes_even_where_keras_is_training(rng, images):
    model = small_model(rng)
    before, model.trainable = [variable.numpy() for variable in model.variables], True
    bank, extractor = KerasBank(model, ["half"]), PooledFeatures(model)
    graph = tf.function(lambda x: (bank.responses(x)[0], extractor.features(x)), autograph=False)
    first, again = graph(tf.constant(images)), graph(tf.constant(images))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)  # dropout would differ
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_config_is_of_the_weights_between_the_image_and_the_layers():
    def configs(change=None):
        model = small_model(np.random.default_rng(7), flipped=True)  # Keras numbers the flip afresh each time
        if change:
            weight = model.get_layer(change).weights[-1]
            weight.assign(np.nextafter(weight.numpy(), np.float32(9)))
        return KerasBank(model, ["mix"]).config(), PooledFeatures(model).config()

    plain, of_norm, of_mix = configs(), configs("norm"), configs("mix")
    assert configs() == plain
    assert of_norm[0] == plain[0] and of_norm[1] != plain[1]  # its moving variance, behind the bank's layer
    assert of_mix[0] != plain[0] and of_mix[1] != plain[1]
    model = small_model(np.random.default_rng(7))
    assert KerasBank(model, ["mix", "norm"]).config() != KerasBank(model, ["norm", "mix"]).config()


def test_unusable_layers_and_models_are_refused(rng):
    model = small_model(rng)
    with pytest.raises(InputError, match=r"^small has no layer 'nrm'; did you mean norm\?$"):
        KerasBank(model, ["mix", "nrm"])
    with pytest.raises(
        InputError, match=r"^layer 'pool' of small returns \(None, 4\); a bank needs maps \[B, h, w, C\]$"
    ):
        KerasBank(model, ["pool"])
    with pytest.raises(InputError, match=r"^the layers of small are \[\]; a bank needs at least one, and none twice$"):
        KerasBank(model, [])
    with pytest.raises(InputError, match="and none twice$"):
        KerasBank(model, ["norm", "norm"])
    maps = keras.Model(model.input, model.get_layer("half").output, name="maps")
    with pytest.raises(InputError, match=r"^the output of maps is \(None, 4, 4, 4\); pooled features are \[B, F\]$"):
        PooledFeatures(maps)


@with_mobilenet
def test_mobilenets_low_layers_answer_as_its_weights_say(rng):
    size = 32
    images = rng.uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    first = KerasBank(mobilenet(size), LOW).responses(tf.constant(images))[0].numpy()
    with np.load(MOBILENET) as file:
        kernel = np.float32(file["conv1/kernel"])
        gamma, beta, mean, variance = (
            file[f"conv1_bn/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
    padded = np.pad(images / 127.5 - 1, ((0, 0), (0, 1), (0, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))[:, ::2, ::2]  # [B, h, w, C_in, 3, 3]
    maps = np.einsum("bhwiyx,yxic->bchw", windows, kernel)
    scale = gamma / np.sqrt(variance + 1e-3)
    expected = np.clip(maps * scale[:, None, None] + (beta - mean * scale)[:, None, None], 0, 6)
    np.testing.assert_allclose(first, expected, atol=1e-4)


@pytest.mark.arithmetic
@with_mobilenet
def test_in_batches_of_one_size_maps_and_features_depend_on_place_by_rounding_and_not_on_company(rng):
    size = 32
    model = mobilenet(size)
    bank, extractor = KerasBank(model, LOW), PooledFeatures(model)
    images, order = rng.uniform(0, 255, (11, size, size, 3)).astype(np.float32), rng.permutation(11)
    for answer in (lambda images: [group.numpy() for group in bank.responses(tf.constant(images))],
                   lambda images: [extractor.features(images).numpy()]):  # fmt: skip
        moved, mixed = answer(images[order]), answer(np.concatenate([images[:4], 0 * images[4:]]))
        for whole, *others in zip(answer(images), moved, mixed, strict=True):
            np.testing.assert_allclose(others[0], whole[order], rtol=0, atol=1e-5 * abs(whole).max())
            np.testing.assert_array_equal(others[1][:4], whole[:4])
