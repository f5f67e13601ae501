"""Description against the convolutions that it cannot do without, and against scikit-image one image at a time.

AlexNet: images a second from images to counts, conv1 and conv2 with 100 bins at 224 pixels, over those of the bare
forward pass of the same convolutions, on the same batch in memory. Gabor: our bank and bins, against
`skimage.filters.gabor` and NumPy histograms, one image at a time; each side in a process of its own with one thread.

    python benchmarks/descriptors.py --target FOLDER --source FOLDER
"""

import argparse
import concurrent.futures
import multiprocessing
import os

import measuring
import numpy as np

GABOR_SIZE, BATCH = 64, 16


def alexnet(given: argparse.Namespace) -> tuple[float, list[float], dict]:
    """Ratio, its span, and images a second."""
    import tensorflow as tf

    from sjft_tf.descriptors import AlexNetBank, engine, fit_bin_edges, histograms
    from sjft_tf.descriptors.alexnet import alexnet_responses
    from sjft_tf.domains import Subset

    size, bins = (64, 8) if given.small else (224, 100)
    target, _ = measuring.domains(given)
    part = Subset(target, np.arange(min(len(target), 4 * BATCH)))
    bank = AlexNetBank()
    edges = fit_bin_edges(part, bank, image_size=size, bins=bins)
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (BATCH, size, size, 3)), tf.float32)
    forward = tf.function(lambda x: alexnet_responses(x, bank.weights, last="conv2")["conv2"])
    measure = engine.over_groups(bank, histograms.histogram_counts, histograms.bin_thresholds(edges))
    described = tf.function(measure, autograph=False)
    seconds = measuring.in_turns(
        given.turns,
        forward=lambda: forward(images).numpy(),
        described=lambda: described(images, tf.constant(BATCH)).numpy(),
    )
    ratio, spread = measuring.ratio(seconds["forward"], seconds["described"])
    return ratio, spread, {name: BATCH / float(times.min()) for name, times in seconds.items()}


def _ours(encoded: list, turns: int) -> list[float]:
    """Seconds that our descriptors of all images take, one after the other with one thread, each turn."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from sjft_tf.descriptors import GaborBank, engine, histograms

    images, bank = tf.constant(encoded, tf.float32), GaborBank()
    measure = engine.over_groups(bank, histograms.histogram_counts, _thresholds(bank, images))
    described, one = tf.function(measure, autograph=False), tf.constant(1)
    times = measuring.in_turns(
        turns, ours=lambda: [described(images[i : i + 1], one).numpy() for i in range(len(images))]
    )
    return times["ours"].tolist()


def _thresholds(bank, images) -> np.ndarray:
    """31 cuts of each channel, where these images' responses have them."""
    responses = bank.responses(images)[0].numpy()
    return np.quantile(responses, np.arange(1, 32) / 32, axis=(0, 2, 3)).T.astype(np.float32)


def _scikit_image(encoded: list, turns: int) -> list[float]:
    """Seconds that scikit-image and NumPy take for the first image, each turn."""
    from skimage.color import rgb2gray
    from skimage.filters import gabor

    image = rgb2gray(np.asarray(encoded[0], np.uint8)) * 255

    def describe() -> np.ndarray:
        histograms = []
        for scale in range(4):
            frequency = 0.05 * 2**scale
            sigma_x, sigma_y = 0.562171 / frequency, 0.741774 / frequency
            for orientation in range(6):
                for maps in gabor(
                    image, frequency, np.pi * orientation / 6, sigma_x=sigma_x, sigma_y=sigma_y, mode="reflect"
                ):
                    cuts = np.linspace(-50, 50, 33)
                    histograms.append(np.histogram(maps, cuts)[0])
        return np.array(histograms)

    return measuring.in_turns(turns, theirs=describe)["theirs"].tolist()


def gabor(given: argparse.Namespace) -> tuple[float, list[float], dict]:
    """Speedup, its span, and images a second; the two processes work one after the other, each in turns of its own."""
    rng, n = np.random.default_rng(0), 4 if given.small else 64
    images = rng.integers(0, 256, (n, GABOR_SIZE, GABOR_SIZE, 3)).tolist()
    spawned = multiprocessing.get_context("spawn")
    times = {}
    for name, side in (("ours", _ours), ("scikit_image", _scikit_image)):
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as pool:
            times[name] = np.array(pool.submit(side, images, given.turns).result())
    ratio, spread = measuring.ratio(times["scikit_image"], times["ours"] / n)
    return (
        ratio,
        spread,
        {"gabor": n / float(times["ours"].min()), "scikit_image": 1 / float(times["scikit_image"].min())},
    )


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    gabor_speedup, gabor_spread, gabor_rates = gabor(given)
    alexnet_conv_ratio, alexnet_spread, alexnet_rates = alexnet(given)
    measuring.report(
        "descriptors",
        alexnet_conv_ratio=alexnet_conv_ratio,
        gabor_speedup=gabor_speedup,
        spread={"alexnet_conv_ratio": alexnet_spread, "gabor_speedup": gabor_spread},
        images_per_second={**alexnet_rates, **gabor_rates},
    )


if __name__ == "__main__":
    main()
