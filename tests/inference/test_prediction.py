"""Every view against slow evaluation by hand: crops cut with NumPy, and a plain model slid over whole images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.inference import predict

SHAPES = [(30, 40), (40, 30), (30, 40), (21, 21), (30, 40), (20, 70), (40, 30), (30, 40), (35, 22), (30, 40), (21, 21)]


@pytest.fixture(scope="module")
def domain(drawn_images):
    rng = np.random.default_rng(7)
    coarse = [rng.integers(0, 256, (4, 4, 3)).astype(np.uint8) for _ in SHAPES]
    return drawn_images([tf.image.resize(c, s, "bicubic").numpy().clip(0, 255).astype(np.uint8)
                         for c, s in zip(coarse, SHAPES, strict=True)])  # fmt: skip


def convolutional(size, *, dtype=None):
    """A convolution that sees what stands where, with no padding; sure enough of itself that crops differ."""
    keras.utils.set_random_seed(1)
    image = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32")(image)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(x)
    x = keras.layers.BatchNormalization()(keras.layers.GlobalAveragePooling2D()(x))
    heads = {"target": keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=9.0),
                                          dtype="float32", name="target"),
             "source": keras.layers.Dense(4, dtype="float32", name="source")}  # fmt: skip
    return keras.Model(image, {name: head(x) for name, head in heads.items()})


@pytest.fixture(scope="module")
def model():
    return convolutional(15)


def answers(model, squares):
    logits = model(np.asarray(squares, np.float32), training=False)["target"].numpy().astype(np.float64)
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def resized(image, side):
    """The shorter side `side`; of images longer than 2:1 the middle."""
    height, width = image.shape[:2]
    if width > 2 * height:
        left = (width - 2 * height) // 2
        image, width = image[:, left : left + 2 * height], 2 * height
    scale = side / min(height, width)
    return tf.image.resize(image, (round(height * scale), round(width * scale)), antialias=True).numpy()


def cut(image, size, top, left):
    assert top + size <= image.shape[0] and left + size <= image.shape[1]
    return image[top : top + size, left : left + size]


def five(image, size):
    height, width = image.shape[0] - size, image.shape[1] - size
    places = [(height // 2, width // 2), (0, 0), (0, width), (height, 0), (height, width)]
    return [cut(image, size, *place) for place in places]


def by_crops(model, domain, n_squares, *, mirrored):
    rows = []
    for image in domain.images:
        squares = five(resized(image, 17), 15)[:n_squares]
        squares += [square[:, ::-1] for square in squares] if mirrored else []
        rows.append(answers(model, squares).mean(axis=0))
    return np.array(rows)


def slid(model, image, size=15):
    """The plain model on every square at even pixels, which is where its convolution looks."""
    height, width = image.shape[:2]
    tops, lefts = range(0, height - size + 1, 2), range(0, width - size + 1, 2)
    return answers(model, [cut(image, size, top, left) for top in tops for left in lefts]).mean(axis=0)


@pytest.fixture(scope="module")
def expected(model, domain):
    scales = [[slid(model, resized(image, side)) for image in domain.images] for side in (15, 17, 26, 32, 43)]
    return {
        "center": by_crops(model, domain, 1, mirrored=False),
        "flip": by_crops(model, domain, 1, mirrored=True),
        "ten": by_crops(model, domain, 5, mirrored=True),
        "multiscale": np.mean(scales, axis=0),
    }


def test_the_views_of_these_images_differ_by_more_than_the_tolerances_below(expected):
    views = list(expected.values())
    assert min(np.abs(a - b).max() for i, a in enumerate(views) for b in views[:i]) > 0.01


@pytest.mark.parametrize(
    ("view", "batch_size"), [("center", 4), ("flip", 5), ("ten", 25), ("multiscale", 1), ("multiscale", 4)]
)
def test_every_row_is_the_mean_probability_over_the_views_squares(model, domain, expected, view, batch_size):
    told = []
    got = predict(model, domain, batch_size=batch_size, view=view, progress=lambda done, n: told.append((done, n)))
    np.testing.assert_allclose(got, expected[view], atol=2e-5)
    assert got.dtype == np.float32
    assert told == sorted(told) and told[-1] == (11, 11) and {n for _, n in told} == {11}
    if view != "multiscale":
        crops = 11 * {"center": 1, "flip": 2, "ten": 10}[view]
        assert len(told) == -(-crops // batch_size)


def test_of_224_the_scales_are_those_of_the_paper():
    from sjft_tf.images import short_sides

    assert short_sides(224) == [224, 256, 384, 480, 640]


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("view", ["ten", "multiscale"])
def test_a_model_built_under_a_strategy_answers_like_one_that_was_not(model, domain, expected, view):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        mirrored = convolutional(15)
    mirrored.set_weights(model.get_weights())
    np.testing.assert_allclose(predict(mirrored, domain, batch_size=4, view=view), expected[view], atol=2e-5)


def test_in_mixed_precision_probabilities_are_float32_and_near(model, domain, expected):
    held = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = convolutional(15)
        mixed.set_weights(model.get_weights())
        got = predict(mixed, domain, batch_size=4, view="multiscale")
    finally:
        keras.mixed_precision.set_dtype_policy(held)
    np.testing.assert_allclose(got, expected["multiscale"], atol=0.05)  # 8 bits, and a head that doubles them
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


def test_a_user_s_model_with_one_output_and_of_any_size_is_seen_at_the_size_named(model, domain, expected):
    image = keras.Input((None, None, 3))
    x = image
    for layer in model.layers[1:-1]:
        if layer.name != "source":
            x = layer(x)
    one = keras.Model(image, model.get_layer("target")(x))
    got = predict(one, domain, image_size=15, view="multiscale")
    np.testing.assert_allclose(got, expected["multiscale"], atol=2e-5)


def test_an_unknown_view_is_refused(model, domain):
    with pytest.raises(InputError, match="view is 'twelve'; it must be one of 'center', 'flip', 'ten', 'multiscale'"):
        predict(model, domain, view="twelve")


def test_layers_that_do_not_fit_at_another_size_are_one_line(domain):
    image = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Reshape((8, 32, 3))(image))
    with pytest.raises(InputError, match="cannot be applied to images of .* pixels") as caught:
        predict(keras.Model(image, keras.layers.Dense(3)(x)), domain, view="multiscale")
    assert "\n" not in str(caught.value)
