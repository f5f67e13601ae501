"""Checks that the demo's gap comes from the method: style, class and leak figures, and with --train a shuffled control.

    python scripts/check_demo.py --out runs/check-demo [--train]

Prints one JSON object a line; docs/demo.md explains them.
"""

import argparse
import dataclasses
import json
import pathlib

import numpy as np

from sjft_tf import pipeline
from sjft_tf.config import Experiment
from sjft_tf.descriptors import HistogramDescriber
from sjft_tf.domains import SyntheticImages
from sjft_tf.evaluation import mean_class_accuracy
from sjft_tf.inference import predict
from sjft_tf.retrieval import NeighborTable
from sjft_tf.stages.train import train
from sjft_tf.stages.values import Description, Neighbors
from sjft_tf.studies.demo import SEEDS, demo_experiment
from sjft_tf.studies.study import arm
from sjft_tf.workspace import RunFolder, Workspace, model_of_round


def styles(target: SyntheticImages, source: SyntheticImages, table: NeighborTable, k: int) -> dict:
    """Shares of the styles among the first `k` neighbors, beside their shares of the source."""
    neighbors = source.styles[table.indices[:, :k]]
    names = source.style_names
    return {
        "k": k,
        "distinct": table.distinct(np.full(len(table), k)),
        "own_style": round(float((neighbors == target.styles[:, None]).mean()), 4),
        "styles": {name: round(float((neighbors == i).mean()), 4) for i, name in enumerate(names)},
        "styles_of_source": {name: round(float((source.styles == i).mean()), 4) for i, name in enumerate(names)},
    }


def classes(target: SyntheticImages, source: SyntheticImages, table: NeighborTable, k: int) -> dict:
    """Whether the first `k` neighbors tell the class: a chi-square of the distinct ones, and mutual information.

    The information between a target image's class and its neighbors' classes is set beside 1,000 permutations of the
    target's classes, which are independent of the neighbors by construction.
    """
    rng, n_source = np.random.default_rng(0), len(source.class_names)
    distinct = np.bincount(source.labels[np.unique(table.indices[:, :k])], minlength=n_source)
    expected = distinct.sum() / n_source
    neighbors = source.labels[table.indices[:, :k]]
    permuted = [information(rng.permutation(target.labels), neighbors, n_source) for _ in range(1000)]
    found = information(target.labels, neighbors, n_source)
    return {
        "k": k,
        "distinct_by_class": distinct.tolist(),
        "chi_square": round(float(((distinct - expected) ** 2 / expected).sum()), 2),
        "degrees_of_freedom": n_source - 1,
        "information_bits": round(found, 4),
        "information_bits_permuted": [round(float(q), 4) for q in np.quantile(permuted, (0.05, 0.5, 0.95))],
        "p": round(float(np.mean(np.array(permuted) >= found)), 3),
    }


def information(labels: np.ndarray, neighbors: np.ndarray, n_source: int) -> float:
    """Mutual information in bits between a target image's class and the class of a neighbor of it."""
    joint = np.zeros((labels.max() + 1, n_source))
    np.add.at(joint, (labels[:, None], neighbors), 1 / neighbors.size)
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    present = joint > 0
    return float((joint[present] * np.log2(joint[present] / independent[present])).sum())


def ridge_accuracy(counts: np.ndarray, labels: np.ndarray, test_counts: np.ndarray, test_labels: np.ndarray) -> float:
    """The best test accuracy, over the strength of the penalty, of a linear classifier on descriptors."""
    features, test_features = (np.sqrt(c.reshape(len(c), -1) / c.sum(2)[0, 0]) for c in (counts, test_counts))
    center, targets = features.mean(0), np.eye(labels.max() + 1)[labels]
    features, test_features = features - center, test_features - center
    kernel, test_kernel = features @ features.T, test_features @ features.T
    accuracies = []
    for strength in 10.0 ** np.arange(-4, 3):
        penalty = strength * np.trace(kernel) / len(kernel) * np.eye(len(kernel))
        scores = test_kernel @ np.linalg.solve(kernel + penalty, targets - targets.mean(0))
        accuracies.append((scores.argmax(1) == test_labels).mean())
    return round(float(max(accuracies)), 4)


def leak(workspace: Workspace, description: Description) -> dict:
    """How well descriptors alone tell the target's classes: learned from the target, and from as many images as test."""
    describer = HistogramDescriber(
        workspace.bank, description.edges, image_size=workspace.experiment.descriptor_size
    )  # fmt: skip
    more = SyntheticImages("validation", image_size=workspace.experiment.image_size, per_class=100)
    domains = {"target": workspace.target, "more": more, "test": workspace.test}
    counts = {role: describer.describe(domain) for role, domain in domains.items()}
    labels = workspace.test.labels
    return {
        "chance": 1 / len(workspace.target.class_names),
        "from_target": ridge_accuracy(counts["target"], workspace.target.labels, counts["test"], labels),
        "from_100_a_class": ridge_accuracy(counts["more"], more.labels, counts["test"], labels),
    }


def shuffled(workspace: Workspace, neighbors: Neighbors, seed: int) -> Neighbors:
    """The table with the source images of each class exchanged at random: equal counts and classes, styles by chance."""
    source, rng = workspace.need_source(), np.random.default_rng(seed)
    exchange = np.arange(len(source))
    for label in range(len(source.class_names)):
        members = np.flatnonzero(source.labels == label)
        exchange[members] = rng.permutation(members)
    table = dataclasses.replace(neighbors.table, indices=exchange[neighbors.table.indices].astype(np.int32))
    return Neighbors(f"{neighbors.made_from} shuffled {seed}", table, {})


def control(experiment: Experiment, out: pathlib.Path, neighbors: Neighbors) -> dict:
    """Mean class accuracy of the selective arm with shuffled neighbors, over the demo's seeds."""
    accuracies = []
    for seed in SEEDS:
        workspace = Workspace(arm(experiment, "selective", seed), RunFolder(out / f"shuffled-seed-{seed}"))
        with workspace.folder.locked():
            pipeline.prepare(workspace)
            train(workspace, shuffled(workspace, neighbors, seed))
            model = model_of_round(workspace, experiment.selection.rounds - 1)
            answers = predict(model, workspace.test).argmax(axis=-1)
            accuracies.append(mean_class_accuracy(workspace.test.labels, answers, len(workspace.target.class_names)))
    shares = 100 * np.array(accuracies)
    return {"mean": round(float(shares.mean()), 1), "seeds": shares.round(1).tolist()}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="run folders of the checks; made if absent")
    parser.add_argument("--train", action="store_true", help="also train the shuffled control, by the demo's seeds")
    arguments = parser.parse_args()
    experiment = arm(demo_experiment(), "selective", SEEDS[0])
    workspace = Workspace(experiment, RunFolder(arguments.out / "search"))
    with workspace.folder.locked():
        pipeline.prepare(workspace)
        results = pipeline.run(workspace, until="search")
        neighbors, target, source = results.neighbors, workspace.target, workspace.source
        for k in (experiment.selection.k0, neighbors.table.depth):
            print(json.dumps({"check": "styles", **styles(target, source, neighbors.table, k)}))
            print(json.dumps({"check": "classes", **classes(target, source, neighbors.table, k)}))
        print(json.dumps({"check": "leak", **leak(workspace, results.description)}))
    if arguments.train:
        print(json.dumps({"check": "shuffled", **control(experiment, arguments.out, neighbors)}))


if __name__ == "__main__":
    main()
