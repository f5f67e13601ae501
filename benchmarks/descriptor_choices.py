"""How much the neighbors change with bins, smoothing, tap, bank and image size: what a user need and need not choose.

Overlap@K of two choices is the share of a target image's first K neighbors that both have, averaged over target images.

    python benchmarks/descriptor_choices.py --target FOLDER --source FOLDER --weights KERNELS.npz --mobilenet FILE.npz
"""

import argparse
import dataclasses
from typing import Any

import measuring
import numpy as np

from sjft_tf import files
from sjft_tf.config import DescriptorConfig
from sjft_tf.descriptors import DescribedDomain, FeatureDescriber, HistogramDescriber, PooledFeatures, fit_bin_edges
from sjft_tf.domains import Subset
from sjft_tf.retrieval import NeighborTable, measure_for, search_stream
from sjft_tf.workspace.workspace import build_bank

DEPTHS = (10, 50, 200)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One way to describe and compare; the defaults are those of the package at 64 pixels."""

    name: str
    descriptor: dict[str, Any]
    image_size: int = 64
    comparison: dict[str, Any] = dataclasses.field(default_factory=dict)  # of `measure_for`


def choices(arguments: argparse.Namespace) -> list[Choice]:
    """The reference of each comparison comes first."""
    gabor, alexnet = {"bank": "gabor"}, {"bank": "alexnet"}
    found = [Choice("gabor, 32 bins", gabor)]
    found += [Choice(f"gabor, {bins} bins", {**gabor, "bins": bins}) for bins in (8, 16, 100)]
    found += [Choice("gabor, authors' bins", {**gabor, "binning": "authors"})]
    found += [Choice(f"gabor, smoothing {a:g}", gabor, comparison={"smoothing": a}) for a in (0.01, 0.5, 5)]
    found += [Choice("gabor, hellinger", gabor, comparison={"divergence": "hellinger"})]
    found += [Choice(f"gabor, {size} px", gabor, image_size=size) for size in (32, 96)]
    found += [
        Choice("alexnet, pre-ReLU", alexnet),
        Choice("alexnet, post-ReLU", {**alexnet, "tap": "post_relu"}),
        Choice("alexnet, conv1", {**alexnet, "layers": "conv1"}),
        Choice("alexnet, 32 bins", {**alexnet, "bins": 32}),
        Choice("alexnet, 96 px", alexnet, image_size=96),
    ]
    if arguments.weights:
        found.append(Choice("squeezenet conv1", {"bank": "convolution", "weights": arguments.weights, "stride": 2}))
    if arguments.mobilenet:
        net = {"bank": "keras", "backbone": "mobilenet", "alpha": 0.75, "weights": arguments.mobilenet}
        found.append(Choice("mobilenet, low layers", {**net, "layers": "conv1_relu, conv_pw_1_relu"}))
        found.append(Choice("mobilenet, pooled (semantic)", {**net, "layers": "pooled"}))
    return found


def search(choice: Choice, target, source, depth: int) -> NeighborTable:
    """Describe and search."""
    settings = DescriptorConfig(**choice.descriptor)
    bank = build_bank(settings, choice.image_size)
    if isinstance(bank, PooledFeatures):
        describer = FeatureDescriber(bank, image_size=choice.image_size)
    else:
        edges = fit_bin_edges(
            target, bank, image_size=choice.image_size, bins=settings.n_bins, binning=settings.binning
        )
        describer = HistogramDescriber(bank, edges, image_size=choice.image_size)
    measure = measure_for(bank, **choice.comparison)
    return search_stream(describer.describe(target), DescribedDomain(source, describer), measure, depth=depth)


def overlap(one: NeighborTable, other: NeighborTable, k: int) -> float:
    """Mean share of the first k neighbors that both tables have."""
    rows = zip(one.indices[:, :k], other.indices[:, :k], strict=True)
    return float(np.mean([len(np.intersect1d(*row)) / k for row in rows]))


def same_class(table: NeighborTable, target, source, k: int) -> float:
    """Bits of mutual information of target class and source class among the first k: how semantic the neighbors are."""
    pairs = np.zeros((len(target.class_names), len(source.class_names)))
    np.add.at(pairs, (np.repeat(target.labels, k), source.labels[table.indices[:, :k]].ravel()), 1)
    joint = pairs / pairs.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    return float((joint[joint > 0] * np.log2(joint[joint > 0] / independent[joint > 0])).sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", help="kernels for the convolution bank (.npz)")
    parser.add_argument("--mobilenet", help="ImageNet weights of MobileNet, alpha 0.75 (.npz)")
    parser.add_argument("--images", type=int, default=10_000, help="source images, spread evenly over the folder")
    arguments = measuring.arguments(parser)
    target, source = measuring.domains(arguments)
    source = Subset(source, np.linspace(0, len(source) - 1, min(arguments.images, len(source))).astype(int))
    depths = [k for k in DEPTHS if k <= len(source)] or [len(source) // 2]
    listed = choices(arguments)[:: 4 if arguments.small else 1]
    tables: dict[str, NeighborTable] = {}
    rows = []
    for choice in listed:
        tables[choice.name] = search(choice, target, source, max(depths))
        reference = next(c.name for c in listed if c.name.split(",")[0] == choice.name.split(",")[0])
        shares = [overlap(tables[choice.name], tables[reference], k) for k in depths]
        with_gabor = overlap(tables[choice.name], tables[listed[0].name], depths[-1])
        information = same_class(tables[choice.name], target, source, depths[0])
        rows.append([choice.name, reference, *shares, with_gabor, information])
        shown = "  ".join(f"{share:6.3f}" for share in shares)
        print(
            f"{choice.name:32s} against {reference:20s} {shown}   gabor {with_gabor:6.3f}   {information:.3f} bits",
            flush=True,
        )
    measuring.report(
        "descriptor_choices",
        depths=depths,
        columns=["choice", "reference", *[f"overlap@{k}" for k in depths], "with the first", "class information, bits"],
        rows=rows,
        spread={},
        source_images=len(source),
        images=files.digest(list(target.ids), list(source.ids)),
    )


if __name__ == "__main__":
    main()
