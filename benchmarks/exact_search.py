"""Exact search from counts against the machine's own matrix product of its shape, and against FAISS IndexFlatIP.

The product is the best of NumPy's and TensorFlow's, whole and in tiles of the source, of vectors that are lifted beforehand.
FAISS starts from the counts, as exact search does: lifting by all cores, `add` and `search` are in its time. The targets of
the large case are images of the source, whose lifting and first tiles are shared by more of them.

    python benchmarks/exact_search.py --target FOLDER --source FOLDER --cache descriptors.npz
"""

import argparse

import faiss
import measuring
import numpy as np
import tensorflow as tf

from sjft_tf.retrieval import HistogramMeasure, search_exact, symmetric_kl
from sjft_tf.retrieval.lifting import Lift, lift_sources, lift_targets
from sjft_tf.retrieval.threads import tiles

DEPTH, TILE, MANY_TARGETS, MANY_TURNS = 850, 2048, 12_000, 2
CHECKED = 30  # targets whose rows are compared with the float64 definition


def lifted(lift: Lift, targets: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of both sides."""
    v = np.empty((len(sources), lift.depth), np.float32)
    lift_sources(sources, lift, v)
    return lift_targets(targets, lift), v


def products(u: np.ndarray, v: np.ndarray) -> dict[str, object]:
    """Bare products of all pairs, by the library and how it is called."""
    parts, out = list(tiles(len(v), TILE)), np.empty((len(u), TILE), np.float32)
    left, right = tf.constant(u), tf.constant(v)
    return {
        "numpy": lambda: u @ v.T,
        "numpy_tiled": lambda: [np.matmul(u, v[part].T, out=out[:, : part.stop - part.start]) for part in parts],
        "tensorflow": lambda: tf.matmul(left, right, transpose_b=True).numpy(),
        "tensorflow_tiled": lambda: [tf.matmul(left, right[part], transpose_b=True).numpy() for part in parts],
    }


def by_faiss(lift: Lift, targets: np.ndarray, sources: np.ndarray, depth: int) -> None:
    """The nearest by FAISS, from counts."""
    u, v = lifted(lift, targets, sources)
    index = faiss.IndexFlatIP(v.shape[1])
    index.add(v)
    index.search(-u, depth)


def worst_error(targets: np.ndarray, sources: np.ndarray, weights: np.ndarray, depth: int) -> dict[str, float]:
    """The largest relative error of a divergence, and how much nearer than the last of its row an image left out is."""
    table = search_exact(targets, sources, weights, depth=depth)
    rows = np.linspace(0, len(targets) - 1, min(CHECKED, len(targets))).astype(int)
    exact = symmetric_kl(targets[rows], sources, weights, smoothing=0.01)
    held = np.take_along_axis(exact, table.indices[rows], axis=1)
    np.put_along_axis(exact, table.indices[rows], np.inf, axis=1)
    return {
        "divergence": float(np.abs(table.divergences[rows] / held - 1).max()),
        "left_out": float((1 - exact.min(axis=1) / held.max(axis=1)).max()),
    }


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    targets, sources, weights = measuring.counts(given)
    depth = min(DEPTH, len(sources) // 10)
    lift = HistogramMeasure(weights).lift(targets)
    u, v = lifted(lift, targets, sources)
    seconds = measuring.in_turns(
        given.turns,
        **products(u, v),
        search=lambda: search_exact(targets, sources, weights, depth=depth),
        faiss=lambda: by_faiss(lift, targets, sources, depth),
    )
    best = min((name for name in seconds if name not in ("search", "faiss")), key=lambda name: seconds[name].min())
    gemm_ratio, gemm_spread = measuring.ratio(seconds[best], seconds["search"])
    faiss_ratio, faiss_spread = measuring.ratio(seconds["faiss"], seconds["search"])
    many = sources[
        np.random.default_rng(0).permutation(len(sources))[: 12 * len(targets) if given.small else MANY_TARGETS]
    ]
    u = lifted(lift, many, sources[:1])[0]
    of_many = measuring.in_turns(
        MANY_TURNS,
        burn_in=0,
        product=products(u, v)[f"{best.partition('_')[0]}_tiled"],  # whole it would take 2.4 GB
        search=lambda: search_exact(many, sources, weights, depth=depth),
    )
    many_ratio, many_spread = measuring.ratio(of_many["product"], of_many["search"])
    measuring.report(
        "exact_search",
        gemm_ratio=gemm_ratio,
        faiss_ratio=faiss_ratio,
        gemm_ratio_many=many_ratio,
        spread={"gemm_ratio": gemm_spread, "faiss_ratio": faiss_spread, "gemm_ratio_many": many_spread},
        best_product=best,
        seconds={name: times.tolist() for name, times in seconds.items()},
        seconds_many={name: times.tolist() for name, times in of_many.items()},
        relative_errors=worst_error(targets, sources, weights, depth),
        n_target=len(targets),
        n_target_many=len(many),
        n_source=len(sources),
        vector=v.shape[1],
        depth=depth,
    )


if __name__ == "__main__":
    main()
