"""Checks of the demo: what is selected, what descriptors tell of classes, and with --seeds whether its differences hold.

    python scripts/check_demo.py --out runs/check-demo [--seeds 10]

Prints one JSON object a line; docs/demo.md explains them. A second start resumes.
"""

import argparse
import json
import os
import pathlib

import numpy as np

from sjft_tf import files, pipeline
from sjft_tf.config import Study
from sjft_tf.descriptors import HistogramDescriber
from sjft_tf.domains import SyntheticImages
from sjft_tf.evaluation import paired_difference
from sjft_tf.retrieval import NeighborTable
from sjft_tf.stages.evaluate import evaluate
from sjft_tf.stages.train import train
from sjft_tf.stages.values import Description, Neighbors
from sjft_tf.studies.demo import SELECTIVE, demo_study
from sjft_tf.studies.plan import run_path
from sjft_tf.studies.study import run_study
from sjft_tf.workspace import RunFolder, Workspace


def styles(target: SyntheticImages, source: SyntheticImages, table: NeighborTable, k: int) -> dict:
    """Shares of the styles among the first `k` neighbors, beside their shares of the source."""
    neighbors = source.styles[table.indices[:, :k]]
    names = source.style_names
    return {
        "k": k,
        "distinct": table.distinct(k),
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
    assert description.edges is not None  # the demo's descriptors are histograms
    describer = HistogramDescriber(
        workspace.bank, description.edges, image_size=workspace.experiment.descriptor_size
    )  # fmt: skip
    more = SyntheticImages("validation", image_size=workspace.experiment.image_size, per_class=100)
    target, test = workspace.target, workspace.test
    counts, test_counts = describer.describe(target), describer.describe(test)
    return {
        "chance": 1 / len(target.class_names),
        "from_target": ridge_accuracy(counts, target.labels, test_counts, test.labels),
        "from_100_a_class": ridge_accuracy(describer.describe(more), more.labels, test_counts, test.labels),
    }


def shuffled(source: SyntheticImages, table: NeighborTable, seed: int) -> NeighborTable:
    """The table with the source images of each class exchanged at random: equal counts and classes, styles by chance."""
    exchange, rng = np.arange(len(source)), np.random.default_rng(seed)
    for label in range(len(source.class_names)):
        members = np.flatnonzero(source.labels == label)
        exchange[members] = rng.permutation(members)
    return NeighborTable(exchange[table.indices].astype(np.int32), table.divergences)


def control(study: Study, folder: pathlib.Path, table: NeighborTable) -> dict[int, float]:
    """Accuracy in percent, by seed, of the selective arm with shuffled neighbors."""
    found = {}
    for seed in study.config.seeds:
        run = RunFolder(folder / run_path("shuffled", seed))
        with run.locked():
            workspace = Workspace(study.experiment(SELECTIVE, seed, {}), run)
            pipeline.prepare(workspace)
            drawn = shuffled(workspace.need_source(), table, seed)
            rounds = train(workspace, Neighbors(files.digest("shuffled", drawn.indices), drawn, {}))
            found[seed] = 100 * evaluate(workspace, rounds).metrics["test"]["final"]["mean_class_accuracy"]
    return found


def arm_figures(name: str, by_seed: dict[int, float], folder: pathlib.Path) -> dict:
    """Accuracies of an arm's runs on the test images, and how well the worst of them had learned its two tasks."""
    shares = np.array(list(by_seed.values()))
    last = [RunFolder(folder / run_path(name, seed)).read_history()[-1] for seed in by_seed]
    figures = {
        "check": "arm", "arm": name, "mean": round(float(shares.mean()), 1), "seeds": shares.round(1).tolist(),
        "lowest_target_accuracy": round(min(entry["target_accuracy"] for entry in last), 3),
    }  # fmt: skip
    if name != "none":
        # of the last round, in training: over all its steps, and the loss over the last quarter of them
        figures["lowest_source_accuracy"] = round(min(entry["source_accuracy"] for entry in last), 3)
        curves = [entry["loss_curve"]["source"] for entry in last]
        figures["highest_source_loss"] = round(max(np.mean(curve[3 * len(curve) // 4 :]) for curve in curves), 3)
    return figures


def difference(selective: dict[int, float], name: str, other: dict[int, float]) -> dict:
    """Percentage points by which selected source images help more, paired by seeds."""
    found = paired_difference(list(selective.values()), [other[seed] for seed in selective])
    return {
        "check": "difference", "of": f"selective - {name}", "mean": round(found.mean, 1),
        "standard_error": round(found.standard_error, 2), "in_standard_errors": round(found.mean / found.standard_error, 1),
        "interval": [round(found.low, 1), round(found.high, 1)],
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the checks; made if absent")
    parser.add_argument("--seeds", type=int, default=0, help="also train all arms and the control, so many seeds each")
    arguments = parser.parse_args()
    study, folder = demo_study([f"seeds={list(range(arguments.seeds))}"] if arguments.seeds else []), arguments.out
    experiment = study.experiment(SELECTIVE, 0, {})
    with (run := RunFolder(folder / "checks")).locked():
        workspace = Workspace(experiment, run)
        pipeline.prepare(workspace)
        found = pipeline.run(workspace, until="search")
    assert found.description is not None and found.neighbors is not None  # it was run until there
    table = found.neighbors.table
    for k in (experiment.selection.k0, table.depth):
        print(json.dumps({"check": "styles", **styles(workspace.target, workspace.source, table, k)}))
        print(json.dumps({"check": "classes", **classes(workspace.target, workspace.source, table, k)}))
    print(json.dumps({"check": "leak", **leak(workspace, found.description)}), flush=True)
    if arguments.seeds:
        data, _ = run_study(study, folder / "study", jobs=os.cpu_count() or 1)
        arms = {arm.name: dict(arm.by_seed) for arm in data.arms}
        arms["shuffled"] = control(study, folder / "study", table)
        for name, by_seed in arms.items():
            print(json.dumps(arm_figures(name, by_seed, folder / "study")))
        for name, by_seed in arms.items():
            if name != SELECTIVE:
                print(json.dumps(difference(arms[SELECTIVE], name, by_seed)))


if __name__ == "__main__":
    main()
