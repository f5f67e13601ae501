"""Approximate search with ScaNN against our exact search: recall of the exact neighbors, and time.

Both start from descriptors in memory. Exact search lifts, multiplies and ranks all pairs; the approximate one has been
built (the time is told apart), embeds the targets, asks the index for candidates, and ranks those by the vectors of exact
search. `speedup` is without building, `speedup_built` with it. Curve: by number of candidates; `--picture` draws it.

    python benchmarks/ann_recall.py --target FOLDER --source FOLDER --cache gabor.npz --picture curves.png
    python benchmarks/ann_recall.py --target FOLDER --source FOLDER --cache gabor.npz --many
    python benchmarks/ann_recall.py --target FOLDER --source FOLDER --cache alexnet.npz --alexnet
"""

import argparse
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator

import matplotlib.figure
import measuring
import numpy as np

from sjft_tf.retrieval import HistogramMeasure, NeighborTable, ScannSearch, choose_method, search_exact
from sjft_tf.retrieval.approximate.certificate import recalls

DEPTH, RECALL = 850, 0.99
MANY_TARGETS = 12_000  # of the source's own images
OF_ALEXNET = 10_000  # source images
SHARES = (1.0, 1.1, 1.2, 1.4, 1.8, 2.5)  # candidates, as multiples of the depth


class InMemory:
    """Descriptors at hand, as a `DescribedDomain` gives them."""

    block_rows = 8192

    def __init__(self, counts: np.ndarray) -> None:
        self.counts, self.row_bytes = counts, counts[0].nbytes

    def __len__(self) -> int:
        return len(self.counts)

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Descriptors of single images."""
        return self.counts[indices]

    def blocks(self, first: int = 0, *, progress: object = None) -> Iterator[tuple[int, np.ndarray]]:
        """Consecutive blocks."""
        for start in range(first, len(self), self.block_rows):
            yield start, self.counts[start : start + self.block_rows]


def measured(exact: np.ndarray, search: Callable[[], NeighborTable]) -> tuple[float, float]:
    """Recall and seconds of one search."""
    start = time.perf_counter()
    found = search()
    seconds = time.perf_counter() - start
    return float(recalls(np.sort(found.indices, axis=1), exact).mean()), seconds


def curve(search: ScannSearch, n_source: int, exact: np.ndarray) -> list[list[float]]:
    """Number of candidates, recall and seconds."""
    depth, certificate, points = exact.shape[1], search.certificate, []
    for share in SHARES:
        candidates = min(int(share * depth), n_source)
        search.certificate = dataclasses.replace(certificate, candidates=candidates)
        points.append([candidates, *measured(exact, search.table)])
    search.certificate = certificate
    return points


def draw(points: list[list[float]], exact_seconds: float, path: pathlib.Path) -> None:
    """Recall against seconds, with exact search as a line."""
    figure = matplotlib.figure.Figure((7, 4.2), layout="constrained")
    axes = figure.subplots()
    _, recall, seconds = zip(*points, strict=True)
    axes.plot(seconds, recall, marker="o", label="ScaNN")
    axes.axvline(exact_seconds, color="gray", linestyle="--", label="exact search")
    axes.axhline(RECALL, color="gray", linewidth=0.8, linestyle=":")
    axes.set(xlabel="seconds for all target images", ylabel=f"recall@{DEPTH}")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picture", type=pathlib.Path)
    parser.add_argument("--dimensions", type=int, default=160)
    parser.add_argument("--alexnet", action="store_true", help=f"its descriptors, of {OF_ALEXNET:,} source images")
    parser.add_argument(
        "--many", action="store_true", help=f"{MANY_TARGETS:,} images of the source as targets, one turn"
    )
    given = measuring.arguments(parser)
    targets, sources, weights = measuring.counts(
        given, alexnet=given.alexnet, n_source=OF_ALEXNET if given.alexnet else None
    )
    if given.many:
        targets = sources[np.random.default_rng(0).permutation(len(sources))[:MANY_TARGETS]]
    depth = min(DEPTH, len(sources) // 10)
    start = time.perf_counter()
    search = ScannSearch(
        targets, InMemory(sources), HistogramMeasure(weights), depth=depth, dimensions=given.dimensions,
        min_recall=0.9 if given.small else RECALL - 0.005,
    )  # fmt: skip
    build_seconds = time.perf_counter() - start
    tables = {}
    seconds = measuring.in_turns(
        1 if given.many else given.turns,
        burn_in=0 if given.many else 1,
        exact=lambda: tables.update(exact=search_exact(targets, sources, weights, depth=depth)),
        scann=lambda: tables.update(scann=search.table()),
    )
    speedup, spread = measuring.ratio(seconds["exact"], seconds["scann"])
    built, _ = measuring.ratio(seconds["exact"], seconds["scann"] + build_seconds)
    exact = tables["exact"].indices
    points = [] if given.many or given.alexnet else curve(search, len(sources), exact)
    for candidates, recall, spent in points:
        print(f"{candidates:6d} candidates   recall@{depth} {recall:.4f}   {spent:7.2f} s")
    if given.picture and points:
        draw(points, float(seconds["exact"].min()), given.picture)
    measuring.report(
        "ann_recall",
        recall=float(recalls(np.sort(tables["scann"].indices, axis=1), exact).mean()),
        speedup=speedup,
        speedup_built=built,
        auto=choose_method(len(targets), len(sources), depth)[0],
        spread={"speedup": spread},
        seconds={name: times.tolist() for name, times in seconds.items()},
        build_seconds=build_seconds,
        certificate=dataclasses.asdict(search.certificate),
        dimensions=given.dimensions,
        curve=points,
        n_target=len(targets),
        n_source=len(sources),
        numbers=int(targets[0].size),
        depth=depth,
    )


if __name__ == "__main__":
    main()
