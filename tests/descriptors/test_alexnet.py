"""AlexNet against a slow NumPy network with Caffe's own definitions, and the published sizes of maps."""

import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors.alexnet import alexnet_responses
from sjft_tf.errors import InputError
from sjft_tf.models.weights.alexnet import KERNEL_SHAPES, AlexNetWeights


def draw_weights(layout, last="conv5", seed=0):
    rng = np.random.default_rng(seed)
    shapes = dict(list(KERNEL_SHAPES[layout].items())[: int(last[-1])])
    kernels = {
        name: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:3]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    biases = {name: rng.standard_normal(shape[-1]).astype(np.float32) for name, shape in shapes.items()}
    return AlexNetWeights(layout, kernels, biases)


def slow_convolution(x, kernel, bias, stride, padding, groups):
    """Sums over windows, `[h, w, C]`, one group after the other."""
    size, padded = kernel.shape[0], np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))[::stride, ::stride]
    parts = [
        np.tensordot(window, part, ([2, 3, 4], [2, 0, 1]))
        for window, part in zip(np.split(windows, groups, 2), np.split(kernel, groups, 3), strict=True)
    ]
    return np.concatenate(parts, -1) + bias


def slow_normalization(x):
    """Caffe: x / (1 + alpha / 5 * sum of squares over five channels) ^ 0.75."""
    squares = np.pad(x**2, ((0, 0), (0, 0), (2, 2)))
    return x / (1 + 1e-4 / 5 * sum(squares[..., i : i + x.shape[-1]] for i in range(5))) ** 0.75


def slow_pooling(x, ceil):
    """Windows of 3 with stride 2; Caffe clips the last one, PyTorch leaves it out."""
    n = x.shape[0]
    out = (int(np.ceil((n - 3) / 2)) if ceil else (n - 3) // 2) + 1
    return np.array([
        [x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1)) for j in range(out)] for i in range(out)
    ])  # fmt: skip


def slow_alexnet(image, weights):
    """Responses before ReLU by layer, float64."""
    caffe = weights.layout == "caffe"
    if caffe:
        x = image[..., ::-1] - np.array([104.0, 116.7, 122.7])
    else:
        x = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    paddings = (0, 2, 1, 1, 1) if caffe else (2, 2, 1, 1, 1)
    found = {}
    for name, padding in zip(weights.kernels, paddings, strict=False):
        kernel = weights.kernels[name]
        groups = x.shape[-1] // kernel.shape[2]
        x = found[name] = slow_convolution(
            x, kernel, weights.biases[name], 4 if name == "conv1" else 1, padding, groups
        )  # fmt: skip
        x = np.maximum(x, 0)
        if name in ("conv1", "conv2"):
            x = slow_pooling(slow_normalization(x) if caffe else x, ceil=caffe)
    return found


@pytest.mark.parametrize("layout", ["caffe", "torchvision"])
@pytest.mark.parametrize("image_size", [63, 67, 71, 75])  # pooling windows end at the border, and beyond it
def test_responses_equal_a_slow_numpy_network(rng, layout, image_size):
    weights = draw_weights(layout)
    image = rng.uniform(0, 255, (image_size, image_size, 3))
    outputs = alexnet_responses(tf.constant(image[None], tf.float32), weights)
    for name, expected in slow_alexnet(image, weights).items():
        atol = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(outputs[name][0], expected, rtol=1e-4, atol=atol)
        np.testing.assert_allclose(
            outputs[name.replace("conv", "relu")][0], np.maximum(expected, 0), rtol=1e-4, atol=atol
        )


@pytest.mark.parametrize(
    ("layout", "image_size", "sides"),
    [
        ("caffe", 224, (54, 27, 13, 13, 13)),
        ("caffe", 227, (55, 27, 13, 13, 13)),
        ("caffe", 64, (14, 7, 3, 3, 3)),
        ("caffe", 131, (31, 15, 7, 7, 7)),
        ("torchvision", 224, (55, 27, 13, 13, 13)),
        ("torchvision", 131, (32, 15, 7, 7, 7)),
    ],
)
def test_maps_have_the_published_sizes(layout, image_size, sides):
    outputs = alexnet_responses(tf.zeros((1, image_size, image_size, 3)), draw_weights(layout))
    kernels = [shape[-1] for shape in KERNEL_SHAPES[layout].values()]
    shapes = [tuple(outputs[f"conv{i}"].shape[1:]) for i in range(1, 6)]
    assert shapes == [(side, side, n) for side, n in zip(sides, kernels, strict=True)]


def test_weights_that_end_too_early_are_refused():
    with pytest.raises(InputError, match="^the AlexNet weights hold conv1, conv2; conv3 is not among them$"):
        alexnet_responses(tf.zeros((1, 64, 64, 3)), draw_weights("caffe", "conv2"), last="conv3")


@pytest.mark.parametrize(
    ("image_size", "message"), [(10, "too small for conv1"), (15, "too small for the pooling after conv2")]
)
def test_images_too_small_for_a_layer_are_refused(image_size, message):
    with pytest.raises(InputError, match=message):
        alexnet_responses(tf.zeros((1, image_size, image_size, 3)), draw_weights("caffe"))
