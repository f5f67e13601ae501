import os
import pathlib

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from sjft_tf.descriptors import ConvolutionBank
from sjft_tf.errors import InputError

LUMA = (0.299, 0.587, 0.114)
WEIGHTS = pathlib.Path(os.environ.get("SJFT_WEIGHTS", pathlib.Path(__file__).parents[2] / "weights"))
SQUEEZENET = WEIGHTS / "squeezenet_v10_conv1_rgb.npz"


@pytest.fixture
def arrays(rng):
    """A set of 3 x 5 color kernels with biases, and one of 4 x 2 luma kernels without."""
    shapes = {"color/kernel": (3, 5, 3, 4), "color/bias": (4,), "luma/kernel": (4, 2, 1, 2)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def path(tmp_path, arrays):
    np.savez(tmp_path / "kernels.npz", **arrays)
    return tmp_path / "kernels.npz"


def responses_of(bank, images):
    return [group.numpy() for group in bank.responses(tf.constant(images, tf.float32))]


def slow_responses(image, kernel, bias, stride):
    """`[h, w, 3]` to `[C, h', w']` with scipy, one kernel and one channel after another."""
    image = image if kernel.shape[2] == 3 else image @ np.array(LUMA)[:, None]
    maps = []
    for c in range(kernel.shape[3]):
        pairs = zip(np.moveaxis(image, -1, 0), np.moveaxis(np.float64(kernel[..., c]), -1, 0), strict=True)
        maps.append(sum(scipy.signal.correlate(x, k, mode="valid") for x, k in pairs)[::stride, ::stride] + bias[c])
    return np.stack(maps)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shape", [(9, 14), (5, 5)])
def test_responses_equal_scipys_correlation(rng, path, arrays, stride, shape):
    images = rng.uniform(0, 255, (2, *shape, 3))
    found = responses_of(ConvolutionBank(path, stride=stride), images)
    for group, name in zip(found, ("color", "luma"), strict=True):
        kernel = arrays[f"{name}/kernel"]
        bias = arrays.get(f"{name}/bias", np.zeros(kernel.shape[3]))
        expected = np.stack([slow_responses(image, kernel, bias, stride) for image in images])
        # float32 sums of 45 products of some hundreds; TensorFlow's luma weighs red 0.2989, by 1e-4 of 255 less
        np.testing.assert_allclose(group, expected, atol=0.2 if name == "luma" else 2e-3)


def test_an_image_smaller_than_the_kernels_is_refused(path):
    with pytest.raises(InputError, match=r"^images of 4 px are smaller than the kernels of color, \(3, 5, 3, 4\)$"):
        ConvolutionBank(path).responses(tf.zeros((1, 4, 4, 3)))


def test_a_mean_taken_off_or_a_bias_moves_whole_maps_and_so_changes_no_descriptor(rng, tmp_path):
    kernel = rng.integers(-9, 10, (3, 3, 3, 4)).astype(np.float32)  # whole numbers, so that all sums are exact
    np.savez(tmp_path / "plain.npz", **{"a/kernel": kernel})
    np.savez(tmp_path / "biased.npz", **{"a/kernel": kernel, "a/bias": np.float32([64, -32, 128, 0])})
    images, mean = rng.integers(0, 256, (2, 9, 9, 3)), np.array([123, 117, 104])
    plain, biased = (ConvolutionBank(tmp_path / f"{name}.npz") for name in ("plain", "biased"))
    for other in (responses_of(biased, images)[0], responses_of(plain, images - mean)[0]):
        moved = other - responses_of(plain, images)[0]
        np.testing.assert_array_equal(moved, np.broadcast_to(moved[:1, :, :1, :1], moved.shape))
        assert moved.any()


@pytest.mark.arithmetic
def test_in_batches_of_one_size_responses_depend_on_place_by_rounding_and_not_on_company(rng, path):
    """Batches of another size may round the luma kernels' responses otherwise."""
    bank, images = ConvolutionBank(path), rng.uniform(0, 255, (9, 17, 17, 3))
    together, order = responses_of(bank, images), rng.permutation(9)
    alone = [responses_of(bank, np.concatenate([images[i : i + 1], np.zeros((8, 17, 17, 3))])) for i in range(3)]
    for group, (whole, moved) in enumerate(zip(together, responses_of(bank, images[order]), strict=True)):
        np.testing.assert_allclose(moved, whole[order], rtol=0, atol=1e-5 * abs(whole).max())
        np.testing.assert_array_equal([groups[group][0] for groups in alone], whole[:3])


def test_each_layer_has_the_weight_one(path):
    bank = ConvolutionBank(path)
    np.testing.assert_array_equal(bank.channel_weights, [1 / 4] * 4 + [1 / 2] * 2)
    assert bank.channel_names[0] == "color, kernel 0" and bank.channel_names[5] == "luma, kernel 1"


def test_config_tells_banks_apart(path, arrays, tmp_path):
    np.savez(tmp_path / "same.npz", **arrays)
    np.savez(tmp_path / "other.npz", **arrays | {"color/kernel": np.nextafter(arrays["color/kernel"], np.float32(9))})
    banks = [ConvolutionBank(path), ConvolutionBank(path, stride=2), ConvolutionBank(tmp_path / "other.npz")]
    assert len({str(bank.config()) for bank in banks}) == 3
    assert ConvolutionBank(tmp_path / "same.npz").config() == banks[0].config()


def spoiled(path, arrays, **changed):
    np.savez(path, **{name: array for name, array in (arrays | changed).items() if array is not None})


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        (
            "color/kernel",
            np.zeros((3, 3, 64, 4), np.float32),
            r": color/kernel is \(3, 3, 64, 4\); expected \[H, W, 3 or 1",
        ),
        ("color/kernel", np.zeros((3, 3, 3), np.float32), r": color/kernel is \(3, 3, 3\)"),
        ("color/kernel", np.zeros((3, 3, 3, 0), np.float32), r": color/kernel is \(3, 3, 3, 0\)"),
        ("color/bias", np.zeros(5, np.float32), r": color/bias is \(5,\); expected \(4,\)"),
        ("color/bias", np.float32([0, np.nan, 0, 0]), ": color holds something else than finite floats"),
        ("color/bias", np.array(list("abcd")), ": color holds something else than finite floats"),
        ("color/bias", np.array([None] * 4), " cannot be read: it is no .npz file or damaged"),
        ("color/kernel", None, " hold color/bias; expected LAYER/kernel"),
        ("mean", np.zeros(3, np.float32), " hold mean; expected LAYER/kernel"),
    ],
)
def test_what_is_no_set_of_kernels_is_refused(tmp_path, arrays, name, value, complaint):
    spoiled(tmp_path / "kernels.npz", arrays, **{name: value})
    with pytest.raises(InputError, match=rf"^kernels [^\n]*kernels\.npz{complaint}[^\n]*$"):
        ConvolutionBank(tmp_path / "kernels.npz")


def test_damaged_files_are_refused_in_one_line(tmp_path, path):
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[300] ^= 255
    for content in (b"", whole[:200], whole[: len(whole) // 2], bytes(flipped), b"no archive"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^kernels [^\n]*npz cannot be read: [^\n]*damaged$"):
            ConvolutionBank(path)
    with pytest.raises(InputError, match=r"absent\.npz cannot be read: it is missing$"):
        ConvolutionBank(tmp_path / "absent.npz")
    np.savez(path)
    with pytest.raises(InputError, match="npz hold nothing; expected LAYER/kernel"):
        ConvolutionBank(path)


def test_an_impossible_stride_is_refused(path):
    with pytest.raises(InputError, match="stride is 0; it must be 1 or more"):
        ConvolutionBank(path, stride=0)


@pytest.mark.skipif(not SQUEEZENET.exists(), reason=f"{SQUEEZENET} is absent; set SJFT_WEIGHTS to its folder")
def test_squeezenets_first_layer(rng):
    bank = ConvolutionBank(SQUEEZENET, stride=2)
    image = rng.uniform(0, 255, (31, 31, 3))
    found = responses_of(bank, image[None])[0][0]
    with np.load(SQUEEZENET) as file:
        expected = slow_responses(image, file["conv1/kernel"], file["conv1/bias"], 2)
    assert found.shape == (96, 13, 13) and len(bank.channel_names) == 96
    np.testing.assert_allclose(found, expected, atol=2e-3)
