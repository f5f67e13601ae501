"""How specific lists of neighbors are, by bank, divergence, smoothing and hubness: whether they depend on the target image.

Beside it, as a check that does not use the lists: how often the nearest other target image by the same divergence is of
the same class.

    python benchmarks/specificity.py --target FOLDER --source FOLDER --mobilenet FILE.npz
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import measuring
import numpy as np

from sjft_tf.config import DescriptorConfig
from sjft_tf.descriptors import FeatureDescriber, HistogramDescriber, PooledFeatures, fit_bin_edges
from sjft_tf.domains import Subset
from sjft_tf.retrieval import borrowing
from sjft_tf.retrieval.specificity import Specificity
from sjft_tf.workspace.workspace import build_bank

DEPTH = 0.017  # of the source: 850 of 50,000
EPSILON = 2.2204e-16
COUNTS = (0.01, 0.1, 0.5, 1, 2, 5)
HUBNESS = {
    "none": 0.0,
    "half": 0.5,
    "whole": 1.0,
}  # how much of the mean divergence to the nearest targets is taken off
NEAREST = 10
BANKS = ("gabor", "alexnet", "convolution", "low-layers", "pooled")
BLOCK = 500  # source images at a time
COLUMNS = (
    "divergence", "csls", "any two", "of a class", "own", "never", "class by lists", "class@1", "class@5"
)  # fmt: skip


def banks(weights: str | None, mobilenet: str | None) -> dict[str, dict[str, Any]]:
    """Settings of the descriptors by name."""
    found: dict[str, dict[str, Any]] = {"gabor": {"bank": "gabor"}, "alexnet": {"bank": "alexnet"}}
    if weights:
        found["convolution"] = {"bank": "convolution", "weights": weights, "stride": 2}
    if mobilenet:
        net = {"bank": "keras", "backbone": "mobilenetv2", "alpha": 0.35, "weights": mobilenet}
        found["low-layers"] = {**net, "layers": "Conv1_relu, expanded_conv_depthwise_relu"}
        found["pooled"] = {**net, "layers": "pooled"}
    return found


def described(settings: dict[str, Any], target, source, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Descriptors of target and source, and the channels' weights; None where they are feature vectors."""
    config = DescriptorConfig(**settings)
    bank = build_bank(config, size)
    if isinstance(bank, PooledFeatures):
        describer = FeatureDescriber(bank, image_size=size)
        return describer.describe(target), describer.describe(source), None
    edges = fit_bin_edges(target, bank, image_size=size, bins=config.n_bins, binning=config.binning)
    describer = HistogramDescriber(bank, edges, image_size=size)
    return describer.describe(target), describer.describe(source), np.asarray(bank.channel_weights, np.float64)


def kl(targets: np.ndarray, sources: np.ndarray, weights: np.ndarray, smoothing: float, *, authors: bool) -> np.ndarray:
    """Symmetric KL, `[n, m]`: counts are smoothed by `smoothing`, or it is the authors' epsilon in the logarithm."""
    pixels, logs = targets[0].sum(axis=1), np.empty((len(weights), int(targets[0].sum(axis=1).max()) + 1), np.float32)
    total = pixels + (0 if authors else smoothing * targets.shape[2])
    for channel, n in enumerate(pixels):
        counts = np.arange(logs.shape[1])
        logs[channel] = np.log(counts / n + smoothing) if authors else np.log((counts + smoothing) / total[channel])
    logs -= logs[np.arange(len(weights)), (pixels / targets.shape[2]).astype(int), None]  # short vectors round less
    rows = np.arange(len(weights))[:, None]

    def lift(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        share = (counts * (weights / total).astype(np.float32)[:, None]).reshape(len(counts), -1)
        log = logs[rows, counts].reshape(len(counts), -1)
        return share, log, np.vecdot(share, log)

    share, log, own = lift(targets)
    parts = []
    for start in range(0, len(sources), BLOCK):
        s_share, s_log, s_own = lift(sources[start : start + BLOCK])
        parts.append(own[:, None] + s_own - share @ s_log.T - log @ s_share.T)
    return np.concatenate(parts, axis=1)


def hellinger(targets: np.ndarray, sources: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Squared Hellinger distance, `[n, m]`: `sum_c w_c (1 - sum_b sqrt(p q))`."""

    def roots(counts: np.ndarray) -> np.ndarray:
        return np.sqrt(counts * (weights / targets[0].sum(axis=1)).astype(np.float32)[:, None]).reshape(len(counts), -1)

    own = roots(targets)
    parts = [weights.sum() - own @ roots(sources[i : i + BLOCK]).T for i in range(0, len(sources), BLOCK)]
    return np.concatenate(parts, axis=1)


def divergences(
    targets: np.ndarray, sources: np.ndarray, weights: np.ndarray | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and divergences of both target and source images, `[n, n + m]`, of every way to compare."""
    both = np.concatenate([targets, sources])
    if weights is None:
        yield "squared distance", 2 - 2 * targets @ both.T  # they are of unit length
        return
    yield "KL, authors", kl(targets, both, weights, EPSILON, authors=True)
    for smoothing in COUNTS:
        yield f"KL, {smoothing:g}", kl(targets, both, weights, smoothing, authors=False)
    yield "Hellinger", hellinger(targets, both, weights)


def without_hubs(matrix: np.ndarray, share: float) -> np.ndarray:
    """`matrix` with `share` of each column's mean over its nearest rows taken off."""
    return matrix - share * np.partition(matrix, NEAREST, axis=0)[:NEAREST].mean(axis=0)


def same_class(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Shares in which the first, and the first five, by ascending `[n, n]` scores are of the row's class, itself aside."""
    scores = np.where(np.eye(len(labels), dtype=bool), np.inf, scores)
    hits = labels[np.argsort(scores, axis=1, kind="stable")[:, :5]] == labels[:, None]
    return np.array([hits[:, 0].mean(), hits.mean()])


def common(lists: np.ndarray, n_source: int) -> np.ndarray:
    """The number of source images that two lists have in common, `[n, n]`."""
    member = np.zeros((len(lists), n_source), np.float32)
    np.put_along_axis(member, lists, 1, axis=1)
    return member @ member.T


def rows_of(matrix: np.ndarray, labels: np.ndarray) -> Iterator[list[Any]]:
    """The figures of one way to compare, with each way against hubs; `matrix` is `[n, n + m]`."""
    n, n_source = len(matrix), matrix.shape[1] - len(matrix)
    depth = max(1, round(DEPTH * n_source))
    among = np.where(np.eye(n, dtype=bool), np.inf, matrix[:, :n])  # an image is no neighbor of its own
    for name, share in HUBNESS.items():
        compared = without_hubs(matrix[:, n:], share)
        lists = np.argpartition(compared, depth - 1, axis=1)[:, :depth]
        found = Specificity.of(lists, labels, n_source, depth=depth, divergences=compared)
        occurrences = borrowing.occurrences(lists, depth, n_source)
        by_lists = same_class(-common(lists, n_source), labels)[1]
        yield [
            name, found.overlap, found.overlap_in_class, found.own_share, float((occurrences == 0).mean()),
            by_lists, *same_class(without_hubs(among, share), labels),
        ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", help="kernels for the convolution bank (.npz)")
    parser.add_argument("--mobilenet", help="ImageNet weights of MobileNetV2, alpha 0.35 (.npz)")
    parser.add_argument("--banks", nargs="+", choices=BANKS, help="which; all with files, if left out")
    parser.add_argument("--images", type=int, default=4000, help="source images, spread evenly over the folder")
    parser.add_argument("--classes", type=int, default=51, help="target classes, spread evenly over all of them")
    parser.add_argument("--size", type=int, default=64, help="side of the images given to the banks, in pixels")
    given = measuring.arguments(parser)
    target, source = measuring.domains(given)
    source = Subset(source, np.linspace(0, len(source) - 1, min(given.images, len(source))).astype(int))
    n_classes = len(target.class_names)
    chosen = np.linspace(0, n_classes - 1, min(given.classes, n_classes)).astype(int)
    target = Subset(target, np.flatnonzero(np.isin(target.labels, chosen)))
    rows = []
    listed = banks(given.weights, given.mobilenet)
    if missing := set(given.banks or ()) - set(listed):
        parser.error(f"{', '.join(sorted(missing))}: give --weights or --mobilenet, too")
    for bank in given.banks or list(listed)[: 1 if given.small else None]:
        start = time.monotonic()
        targets, sources, weights = described(listed[bank], target, source, given.size)
        print(f"{bank}: described in {time.monotonic() - start:.0f} s", flush=True)
        for divergence, matrix in divergences(targets, sources, weights):
            for figures in rows_of(matrix, target.labels):
                rows.append([bank, divergence, *figures])
                print(" | ".join([*rows[-1][:3], *(f"{100 * f:.1f}" for f in figures[1:])]), flush=True)
    measuring.report(
        "specificity", columns=["bank", *COLUMNS], rows=rows, spread={}, n_target=len(target), n_source=len(source),
        n_classes=len(chosen), chance=max(1, round(DEPTH * len(source))) / len(source), image_size=given.size,
    )  # fmt: skip


if __name__ == "__main__":
    main()
