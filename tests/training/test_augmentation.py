import colorsys
import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from scipy import stats

from sjft_tf.images import center_view, decode, enlarged, resize_short_side
from sjft_tf.training.augmentation import GEOMETRIES, augmented_crop, largest_side, recolored

SIZE = 28  # enlarged to 32, at most to 60
SCALE, TOP, LEFT, MIRROR = range(4)
BRIGHTNESS, CONTRAST, SATURATION = 10, 11, 12
ALMOST_ONE = np.float32(1 - 2**-24)


@pytest.fixture(scope="module")
def crop():
    """`crop(geometry, encoded, numbers) -> [SIZE, SIZE, 3]`, compiled."""

    def compiled(geometry):
        signature = [tf.TensorSpec((), tf.string), tf.TensorSpec((16,), tf.float32)]
        return tf.function(lambda e, n: augmented_crop(e, n, image_size=SIZE, geometry=geometry), signature)

    functions = {geometry: compiled(geometry) for geometry in GEOMETRIES}
    return lambda geometry, encoded, numbers: functions[geometry](encoded, numbers).numpy()


def encoded(image, kind):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, kind)
    return file.getvalue()


def numbers(rng, **fixed):
    row = rng.random(16, np.float32)
    for name, value in fixed.items():
        row[globals()[name.upper()]] = value
    return row


def pick(number, count):
    return min(int(np.float32(number) * np.float32(count)), count - 1)


def whole_then_cut(geometry, image, row):
    """The same the long way: the whole image resized, then a square cut from it."""
    low, high = enlarged(SIZE), largest_side(SIZE, geometry)
    if geometry == "squash":
        resized = tf.image.resize(image, (low, low), antialias=True).numpy()
    else:
        resized = resize_short_side(image, low + pick(row[SCALE], high - low + 1)).numpy()
    top, left = (pick(row[i], length - SIZE + 1) for i, length in zip((TOP, LEFT), resized.shape, strict=False))
    return resized[top : top + SIZE, left : left + SIZE]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_crop_is_the_whole_image_resized_and_then_cut(rng, crop, geometry, kind):
    for height, width in ((61, 83), (32, 32), (200, 37), (3, 5), (16, 400), (150, 131)):
        file = encoded(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), kind)
        image = decode(file).numpy()
        for row in (rng.random(16, np.float32), np.zeros(16, np.float32), np.full(16, ALMOST_ONE)):
            expected = whole_then_cut(geometry, image, row)
            np.testing.assert_allclose(crop(geometry, file, row), expected, atol=0.01)


def test_the_crop_equals_pillows_resizing_and_cutting(rng, crop):
    image = rng.integers(0, 256, (75, 120, 3), dtype=np.uint8)
    row = numbers(rng, scale=0.5)  # 32 + 14 of 32 to 60
    resized = np.array(PIL.Image.fromarray(image).resize((round(120 * 46 / 75), 46), PIL.Image.BILINEAR))
    top, left = pick(row[TOP], 46 - SIZE + 1), pick(row[LEFT], resized.shape[1] - SIZE + 1)
    expected = resized[top : top + SIZE, left : left + SIZE]
    np.testing.assert_allclose(crop("scale", encoded(image, "PNG"), row), expected, atol=1.5)  # Pillow rounds twice


def test_the_middle_crop_is_the_center_view(rng, crop):
    for height, width in ((61, 83), (40, 300), (33, 32)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        square = crop("crop", encoded(image, "PNG"), numbers(rng, top=0.4999, left=0.4999))
        np.testing.assert_allclose(square, center_view(image, SIZE), atol=0.01)


def test_every_scale_and_position_comes_up_and_none_beyond():
    """At 224 pixels the shorter side is 256 to 480, as in the paper; here on a ramp, whose slope tells the scale."""
    assert (enlarged(224), largest_side(224, "scale"), largest_side(224, "crop")) == (256, 480, 256)
    ramp = encoded(np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], (60, 60, 3)), "PNG")
    corners = np.linspace(0, ALMOST_ONE, 400, dtype=np.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 16))])
    def crops(rows):
        def one(row):
            return augmented_crop(ramp, row, image_size=4, geometry="scale")

        return tf.map_fn(one, rows)

    rows = np.full((400, 16), 0.5, np.float32)
    rows[:, SCALE] = corners
    squares = crops(rows).numpy()
    sides = 60 * 4 / (squares[:, 2, 0, 0] - squares[:, 1, 0, 0])
    counts = np.bincount(np.round(sides).astype(int))
    assert np.flatnonzero(counts).tolist() == [5, 6, 7, 8, 9] and counts[5:].min() >= 79
    rows[:, SCALE], rows[:, TOP] = 0.99, corners
    starts, counts = np.unique(np.round(crops(rows).numpy()[:, 0, 0, 0]), return_counts=True)
    assert len(starts) == 9 - 4 + 1 and counts.min() >= 66


def test_strips_are_cut_to_twice_their_width_before_anything_grows(rng, crop):
    image = np.zeros((2, 9000, 3), np.uint8)
    image[:, 4498:4502] = 255
    assert crop("scale", encoded(image, "PNG"), numbers(rng)).min() == 255


@pytest.mark.parametrize(("color", "pca_noise"), [(0, 0), (0, 0.1), (0.3, 0), (0.3, 0.1)])
def test_half_of_the_images_are_mirrored(rng, color, pca_noise):
    images = rng.uniform(60, 120, (6, 4, 5, 3)).astype(np.float32)
    rows = rng.random((6, 16), np.float32)
    rows[:, MIRROR] = [0, 0.2, np.nextafter(np.float32(0.5), np.float32(0)), 0.5, 0.7, ALMOST_ONE]
    unmirrored = rows.copy()
    unmirrored[:, MIRROR] = 0.9
    result = recolored(images, rows, color=color, pca_noise=pca_noise).numpy()
    expected = recolored(images, unmirrored, color=color, pca_noise=pca_noise).numpy()
    np.testing.assert_allclose(result[:3], expected[:3, :, ::-1], rtol=1e-5)
    np.testing.assert_array_equal(result[3:], expected[3:])
    assert ((expected == images).all()) == (color == pca_noise == 0)


def test_without_colors_and_noise_there_is_nothing_but_the_mirror():
    function = tf.function(lambda images, rows: recolored(images, rows, color=0, pca_noise=0))
    graph = function.get_concrete_function(tf.TensorSpec((None, 4, 4, 3)), tf.TensorSpec((None, 16))).graph
    assert not {op.type for op in graph.get_operations()} & {"Mul", "AddV2", "Minimum", "Maximum", "ClipByValue", "Cos"}


def test_the_noise_has_the_covariance_of_the_paper():
    n = 20_000
    rows = stats.qmc.Halton(16, seed=0).random(n).astype(np.float32)
    rows[:, MIRROR] = 0.9
    noise = recolored(np.full((n, 1, 1, 3), 127, np.float32), rows, color=0, pca_noise=0.5).numpy()[:, 0, 0] - 127
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    normal = noise @ vectors / (0.5 * np.array([0.2175, 0.0188, 0.0045]) * 255)  # in units of 0..1, as often quoted
    np.testing.assert_allclose(normal.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(normal.T), np.eye(3), atol=0.04)
    assert all(stats.kstest(column, "norm").statistic < 0.01 for column in normal.T)


def test_the_noise_is_finite_for_every_number():
    rows = np.array([np.zeros(16), np.full(16, ALMOST_ONE)], np.float32)
    result = recolored(np.full((2, 1, 1, 3), 127, np.float32), rows, color=1, pca_noise=1).numpy()
    assert np.isfinite(result).all()


def luma(pixels):
    return (pixels @ np.array([0.299, 0.587, 0.114]))[..., None]


def test_brightness_then_contrast_then_saturation_as_defined(rng):
    images = rng.uniform(50, 150, (4, 6, 5, 3)).astype(np.float32)
    rows = rng.random((4, 16), np.float32)
    rows[:, MIRROR] = 0.9
    factors = (1 + 0.3 * (2 * rows[:, [BRIGHTNESS, CONTRAST, SATURATION]] - 1))[..., None, None, None]
    expected = images * factors[:, 0]
    mean = luma(expected).mean((1, 2), keepdims=True)
    expected = mean + (expected - mean) * factors[:, 1]
    expected = luma(expected) + (expected - luma(expected)) * factors[:, 2]
    np.testing.assert_allclose(recolored(images, rows, color=0.3, pca_noise=0), expected.clip(0, 255), atol=1e-3)


@pytest.mark.parametrize(("which", "law"), [(BRIGHTNESS, "hue"), (CONTRAST, "mean"), (SATURATION, "luma")])
def test_each_change_leaves_alone_what_it_should(rng, which, law):
    images = rng.uniform(90, 160, (2, 4, 4, 3)).astype(np.float32)
    rows = np.full((2, 16), 0.5, np.float32)  # factors of 1
    rows[:, which] = 0.2, 0.9
    result = recolored(images, rows, color=0.4, pca_noise=0).numpy()
    assert np.abs(result - images).max() > 5
    laws = {
        "hue": lambda image: np.array([colorsys.rgb_to_hsv(*pixel)[:2] for pixel in image.reshape(-1, 3) / 255]),
        "mean": lambda image: luma(image).mean((1, 2)),
        "luma": luma,
    }
    np.testing.assert_allclose(laws[law](result), laws[law](images), rtol=1e-4, atol=1e-4)


def test_the_result_stays_in_range(rng):
    images = rng.choice([0.0, 255.0], (3, 4, 4, 3)).astype(np.float32)
    result = recolored(images, rng.random((3, 16), np.float32), color=0.9, pca_noise=1).numpy()
    assert result.min() >= 0 and result.max() <= 255


def test_an_image_is_augmented_alike_whatever_is_in_its_batch(rng):
    images, rows = rng.uniform(0, 255, (4, 8, 8, 3)).astype(np.float32), rng.random((4, 16), np.float32)
    together = recolored(images, rows, color=0.4, pca_noise=0.1)
    alone = [recolored(images[i : i + 1], rows[i : i + 1], color=0.4, pca_noise=0.1)[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-4)
