"""Trains the filter bank `alexnet-tiny-imagenet` that the package holds: AlexNet's conv1 and conv2 on small photographs.

The two layers are AlexNet's (96 kernels 11 x 11 with stride 4; 256 kernels 5 x 5 in two groups; ReLU, normalization
across channels and overlapping pooling after each), the rest is only there to train them: a third convolution, averages
over pixels, and a classifier. Batch normalization stands before each ReLU while training and is folded into kernels and
biases at the end. Images are seen at their own scale, as random crops that are mirrored half of the time.

    python scripts/train_alexnet_bank.py --images FOLDER --validation FOLDER --out alexnet-tiny-imagenet.npz --log log.csv

FOLDER holds a folder per class. With --draw PICTURE it trains nothing, and draws conv1 of the file --out.
"""

import argparse
import csv
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import PIL.Image
import tensorflow as tf

from sjft_tf.domains import ImageFolder, image_batches
from sjft_tf.models.weights.alexnet import AlexNetWeights, read_alexnet_weights, save_alexnet_weights

SIDE, CROP, BATCH = 64, 56, 128
MEAN = (104.0, 117.0, 123.0)  # blue, green, red
RATE, MOMENTUM, DECAY, SMOOTHING, WARM_UP = 0.1, 0.9, 2.5e-4, 0.1, 0.1  # the last is a share of all steps


def network(classes: int) -> keras.Model:
    """Crops `[B, 56, 56, 3]`, blue first, less the mean, to logits."""
    layers = keras.layers
    images = keras.Input((CROP, CROP, 3))
    x = _normalized_and_pooled(_convolution("conv1", 96, 11, strides=4)(images), "bn1")
    halves = keras.ops.split(x, 2, axis=-1)  # TensorFlow's own groups have no gradient on CPUs
    x = layers.Concatenate()([
        _convolution(f"conv2_{name}", 128, 5, padding="same")(half) for name, half in zip("ab", halves, strict=True)
    ])  # fmt: skip
    x = _normalized_and_pooled(x, "bn2")
    x = _convolution("conv3", 384, 3, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Dense(classes)(x))


def _convolution(name: str, kernels: int, size: int, **options) -> keras.layers.Layer:
    decay = keras.regularizers.L2(DECAY)
    return keras.layers.Conv2D(kernels, size, use_bias=False, kernel_regularizer=decay, name=name, **options)


def _normalized_and_pooled(x, name: str):
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name=name)(x))
    return keras.layers.Lambda(_normalize_and_pool)(x)


def _normalize_and_pool(x: tf.Tensor) -> tf.Tensor:
    """AlexNet's, with Caffe's parameters: alpha is divided by the five channels, windows reach beyond the border."""
    x = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
    beyond = -(x.shape[1] - 3) % 2
    x = tf.pad(x, ((0, 0), (0, beyond), (0, beyond), (0, 0)))  # zeros never win after a ReLU
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def folded(model: keras.Model) -> AlexNetWeights:
    """Kernels and biases that give the normalized responses without normalization."""
    kernels, biases = {}, {}
    for layer, normalization, parts in (("conv1", "bn1", ["conv1"]), ("conv2", "bn2", ["conv2_a", "conv2_b"])):
        gamma, beta, mean, variance = (np.asarray(w) for w in model.get_layer(normalization).get_weights())
        factor = gamma / np.sqrt(variance + model.get_layer(normalization).epsilon)
        kernel = np.concatenate([model.get_layer(part).get_weights()[0] for part in parts], axis=-1)
        kernels[layer] = (kernel * factor).astype(np.float32)
        biases[layer] = (beta - mean * factor).astype(np.float32)
    return AlexNetWeights("caffe", kernels, biases)


def load(folder: pathlib.Path, class_names=None) -> tuple[ImageFolder, np.ndarray]:
    """Labels and all pixels, `[n, 64, 64, 3]` uint8 with blue first."""
    domain = ImageFolder(folder, class_names=class_names)
    pixels = np.empty((len(domain), SIDE, SIDE, 3), np.uint8)
    start = 0
    for batch in image_batches(domain, lambda image: tf.ensure_shape(image, (SIDE, SIDE, 3)), batch_size=500):
        pixels[start : start + len(batch)] = batch.numpy()[..., ::-1]
        start += len(batch)
    return domain, pixels


def training_data(pixels: np.ndarray, labels: np.ndarray, epoch: int, seed: int) -> tf.data.Dataset:
    """One epoch of batches: random crops, mirrored half of the time."""
    rng = np.random.default_rng([seed, epoch])
    n = len(pixels) // BATCH * BATCH
    order, corners = rng.permutation(len(pixels))[:n], rng.integers(0, SIDE - CROP + 1, (n, 2))
    mirrored = rng.random(n) < 0.5

    def batches():
        for start in range(0, n, BATCH):
            rows = range(start, start + BATCH)
            crops = np.stack([_crop(pixels[order[i]], *corners[i], mirrored[i]) for i in rows])
            yield crops.astype(np.float32) - MEAN, labels[order[start : start + BATCH]]

    signature = (tf.TensorSpec((BATCH, CROP, CROP, 3), tf.float32), tf.TensorSpec((BATCH,), tf.int32))
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(4)


def _crop(image: np.ndarray, top: int, left: int, mirrored: bool) -> np.ndarray:
    crop = image[top : top + CROP, left : left + CROP]
    return crop[:, ::-1] if mirrored else crop


def draw(weights: AlexNetWeights, path: pathlib.Path) -> None:
    """The kernels of conv1 as colors, eight rows of twelve, each with its own contrast."""
    kernels = weights.kernels["conv1"][:, :, ::-1].transpose(3, 0, 1, 2)
    scale = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    tiles = np.full((96, 13, 13, 3), 255, np.uint8)
    tiles[:, 1:-1, 1:-1] = (127.5 + 127.5 * kernels / scale).round()
    sheet = tiles.reshape(8, 12, 13, 13, 3).transpose(0, 2, 1, 3, 4).reshape(8 * 13, 12 * 13, 3)
    PIL.Image.fromarray(sheet).resize((12 * 13 * 5, 8 * 13 * 5), PIL.Image.Resampling.NEAREST).save(path)


def main() -> None:
    """Train or draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=pathlib.Path, help="training images of 64 x 64 pixels")
    parser.add_argument("--validation", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the bank, an .npz file")
    parser.add_argument("--log", type=pathlib.Path, help="a CSV file, a line an epoch")
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", type=pathlib.Path, metavar="PICTURE")
    arguments = parser.parse_args()
    if arguments.draw:
        draw(read_alexnet_weights(arguments.out), arguments.draw)
        return
    train(arguments)


def train(arguments: argparse.Namespace) -> None:
    """Train, and write bank and log after every epoch."""
    keras.utils.set_random_seed(arguments.seed)
    domain, pixels = load(arguments.images)
    checked, views = load(arguments.validation, domain.class_names)
    border = (SIDE - CROP) // 2
    views = views[:, border:-border, border:-border].astype(np.float32) - np.float32(MEAN)
    model = network(len(domain.class_names))
    steps = len(pixels) // BATCH * arguments.epochs
    warm_up = round(WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(RATE / 100, steps - warm_up, warmup_target=RATE, warmup_steps=warm_up)
    model.compile(
        keras.optimizers.SGD(rate, MOMENTUM, nesterov=True),
        _smoothed_cross_entropy(len(domain.class_names)),
        metrics=["sparse_categorical_accuracy"],
        jit_compile=False,
    )
    rows = []
    for epoch in range(arguments.epochs):
        start = time.monotonic()
        history = model.fit(
            training_data(pixels, domain.labels, epoch, arguments.seed), shuffle=False, verbose=0
        ).history
        accuracy = float(np.mean(model.predict(views, batch_size=500, verbose=0).argmax(-1) == checked.labels))
        rows.append({
            "epoch": epoch + 1, "loss": round(history["loss"][0], 4),
            "training_accuracy": round(history["sparse_categorical_accuracy"][0], 4),
            "validation_accuracy": round(accuracy, 4), "seconds": round(time.monotonic() - start, 1),
        })  # fmt: skip
        print(rows[-1], flush=True)
        save_alexnet_weights(arguments.out, folded(model), dtype=np.float16)
        with open(arguments.log, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def _smoothed_cross_entropy(classes: int):
    smoothed = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    return lambda labels, logits: smoothed(tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), classes), logits)


if __name__ == "__main__":
    main()
