"""Checks that the demo's gap comes from the method: style, class and leak figures, and with --train a shuffled control.

    python scripts/check_demo.py --out runs/check-demo [--train]

Prints one JSON object a line; docs/demo.md explains them.
"""

import argparse
import json
import pathlib

import numpy as np
from sjft_tf.run_folder import RunFolder
from sjft_tf.stages.demo import SEEDS, demo_experiment
from sjft_tf.stages.descriptors import describe as fit_edges
from sjft_tf.stages.descriptors import search
from sjft_tf.stages.run import Run
from sjft_tf.stages.study import arm

from sjft_tf.config import Experiment
from sjft_tf.descriptors import describe
from sjft_tf.domains import SyntheticImages
from sjft_tf.retrieval import NeighborTable
from sjft_tf.stages.evaluate import evaluate


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


def leak(run: Run) -> dict:
    """How well descriptors alone tell the target's classes: learned from the target, and from as many images as test."""
    edges, size = fit_edges(run), run.experiment.descriptor_size
    more = SyntheticImages("validation", image_size=run.experiment.image_size, per_class=100)
    domains = {"target": run.target, "more": more, "test": run.test}
    counts = {role: describe(domain, run.bank, edges, image_size=size) for role, domain in domains.items()}
    return {
        "chance": 1 / len(run.target.class_names),
        "from_target": ridge_accuracy(counts["target"], run.target.labels, counts["test"], run.test.labels),
        "from_100_a_class": ridge_accuracy(counts["more"], more.labels, counts["test"], run.test.labels),
    }


def shuffled(run: Run, table: NeighborTable, seed: int) -> NeighborTable:
    """The table with the source images of each class exchanged at random: equal counts and classes, styles by chance."""
    exchange, rng = np.arange(len(run.source)), np.random.default_rng(seed)
    for label in range(len(run.source.class_names)):
        members = np.flatnonzero(run.source.labels == label)
        exchange[members] = rng.permutation(members)
    return NeighborTable(exchange[table.indices].astype(np.int32), table.divergences)


def control(experiment: Experiment, out: pathlib.Path, table: NeighborTable) -> dict:
    """Mean class accuracy of the selective arm with shuffled neighbors, over the demo's seeds."""
    accuracies = []
    for seed in SEEDS:
        run = Run(arm(experiment, "selective", seed), RunFolder(out / f"shuffled-seed-{seed}"))
        with run.folder.locked():
            run.prepare()
            held = shuffled(run, table, seed)
            run.folder.save(run.folder.neighbors, run.neighbors_hash, **held.arrays())
            accuracies.append(evaluate(run)["test"]["final"]["mean_class_accuracy"])
    shares = 100 * np.array(accuracies)
    return {"mean": round(float(shares.mean()), 1), "half_range": round(float(np.ptp(shares) / 2), 1)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="run folders of the checks; made if absent")
    parser.add_argument("--train", action="store_true", help="also train the shuffled control, three seeds")
    arguments = parser.parse_args()
    experiment = arm(demo_experiment(), "selective", SEEDS[0])
    run = Run(experiment, RunFolder(arguments.out / "search"))
    with run.folder.locked():
        run.prepare()
        table = search(run)
        for k in (experiment.selection.k0, table.depth):
            print(json.dumps({"check": "styles", **styles(run.target, run.source, table, k)}))
            print(json.dumps({"check": "classes", **classes(run.target, run.source, table, k)}))
        print(json.dumps({"check": "leak", **leak(run)}))
    if arguments.train:
        print(json.dumps({"check": "shuffled", **control(experiment, arguments.out, table)}))


if __name__ == "__main__":
    main()
