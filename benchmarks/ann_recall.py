"""Approximate search with ScaNN against our exact search: recall of the exact neighbors, and time.

Both start from descriptors in memory. Exact search lifts, multiplies and ranks all pairs; the approximate one has been
built (the time is told apart), embeds the targets, asks the index for candidates, and ranks those by their exact
divergences. Curves: ScaNN by number of candidates, and FAISS IVF-PQ on the same embedding by number of lists probed, its
2.5 max_k candidates ranked in the same way; `--picture` draws them.

    python benchmarks/ann_recall.py --target FOLDER --source FOLDER --picture curves.png
"""

import argparse
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator

import faiss
import matplotlib.figure
import measuring
import numpy as np
from sjft_tf.retrieval.certificate import recalls

from sjft_tf.retrieval import NeighborTable, ScannOptions, ScannSearch, SymmetricKL, search_exact

MAX_K, RECALL = 850, 0.99
SHARES = (1.0, 1.1, 1.2, 1.4, 1.8, 2.5)  # candidates, as multiples of max_k
PROBES = (8, 16, 32, 64, 128)


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


def measured(turns: int, exact: np.ndarray, search: Callable[[], NeighborTable]) -> tuple[float, float]:
    """Recall, and the least seconds."""
    found = search()
    seconds = measuring.in_turns(turns, search=search)["search"]
    return float(recalls(np.sort(found.indices, axis=1), exact).mean()), float(seconds.min())


def draw(curves: dict[str, list[list[float]]], exact_seconds: float, path: pathlib.Path) -> None:
    """Recall against seconds, with exact search as a line."""
    figure = matplotlib.figure.Figure((7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, points), marker in zip(curves.items(), "os", strict=True):
        _, recall, seconds = zip(*points, strict=True)
        axes.plot(seconds, recall, marker=marker, label=name)
    axes.axvline(exact_seconds, color="gray", linestyle="--", label="exact search")
    axes.axhline(RECALL, color="gray", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="seconds for all target images", ylabel=f"recall@{MAX_K}")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picture", type=pathlib.Path)
    parser.add_argument("--dimensions", type=int, default=ScannOptions().dimensions)
    given = measuring.arguments(parser)
    if given.small:
        rng = np.random.default_rng(0)
        draws = [rng.multinomial(4096, rng.dirichlet(np.full(8, 0.5), (n, 6))) for n in (40, 3000)]
        targets, sources, weights = *(counts.astype(np.uint16) for counts in draws), np.full(6, 1 / 6)
    else:
        targets, sources, weights = measuring.gabor_descriptors(given)
    max_k, measure = min(MAX_K, len(sources) // 30), SymmetricKL(weights)
    start = time.perf_counter()
    options = ScannOptions(dimensions=given.dimensions, min_recall=0.9 if given.small else RECALL - 0.005)
    search = ScannSearch.build(targets, InMemory(sources), measure, max_k=max_k, options=options)
    build_seconds = time.perf_counter() - start
    exact = search_exact(targets, sources, weights, max_k=max_k).indices
    seconds = measuring.in_turns(
        given.turns,
        exact=lambda: search_exact(targets, sources, weights, max_k=max_k),
        scann=lambda: search.search(targets),
    )
    speedup, spread = measuring.ratio(seconds["exact"], seconds["scann"])
    recall = float(recalls(np.sort(search.search(targets).indices, axis=1), exact).mean())
    curves: dict[str, list[list[float]]] = {"ScaNN": [], "FAISS IVF-PQ": []}
    certificate = search.certificate
    for share in SHARES:
        candidates = min(int(share * max_k), len(sources))
        search.certificate = dataclasses.replace(certificate, candidates=candidates)
        curves["ScaNN"].append([candidates, *measured(1, exact, lambda: search.search(targets))])
    queries, vectors = search.embedded_targets(targets), search.embedded_sources(sources)
    lists = 4 * int(np.sqrt(len(vectors)))
    index = faiss.index_factory(
        vectors.shape[1], f"IVF{lists},PQ{_parts(vectors.shape[1])}x8", faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors)
    index.add(vectors)

    def by_faiss() -> NeighborTable:
        proposed = index.search(queries, min(int(SHARES[-1] * max_k), len(sources)))[1]
        return search.rank(targets, queries, _filled(proposed, len(sources)))

    for probes in PROBES:
        index.nprobe = probes
        curves["FAISS IVF-PQ"].append([probes, *measured(1, exact, by_faiss)])
    for name, points in curves.items():
        for knob, found, spent in points:
            print(f"{name:14s} {knob:6d}   recall@{max_k} {found:.4f}   {spent:7.2f} s")
    if given.picture:
        draw(curves, float(seconds["exact"].min()), given.picture)
    measuring.report(
        "ann_recall",
        recall=recall,
        speedup=speedup,
        spread={"speedup": spread},
        seconds={name: times.tolist() for name, times in seconds.items()},
        build_seconds=build_seconds,
        certificate=certificate.config(),
        dimensions=given.dimensions,
        curves=curves,
        n_target=len(targets),
        n_source=len(sources),
        max_k=max_k,
    )


def _parts(length: int) -> int:
    """The most parts, up to 32, that divide a vector."""
    return max(parts for parts in range(1, 33) if length % parts == 0)


def _filled(proposed: np.ndarray, n_source: int) -> np.ndarray:
    """Ascending rows in which -1, for want of proposals, becomes an image that is not there yet."""
    proposed = np.sort(proposed, axis=1)
    for row in proposed:
        missing = int((row < 0).sum())
        if missing:
            row[:missing] = np.setdiff1d(np.arange(n_source), row)[:missing]
    return np.sort(proposed, axis=1)


if __name__ == "__main__":
    main()
