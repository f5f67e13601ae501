"""Exact search from counts against the machine's own matrix product of its shape, and against FAISS IndexFlatIP.

The product is the better of NumPy's and TensorFlow's, whole and in tiles of the source. FAISS searches the same lifted
vectors, index built beforehand; its inner products are float32, so that it ranks near neighbors in about, not exactly,
the right order.

    python benchmarks/exact_search.py --target FOLDER --source FOLDER
"""

import argparse

import faiss
import measuring
import numpy as np
import tensorflow as tf

from sjft_tf.retrieval import lift_sources, lift_targets, search_exact
from sjft_tf.retrieval.tiles import tiles

MAX_K, TILE = 850, 8192


def drawn(rng: np.random.Generator, n: int, *, channels: int = 6, bins: int = 8) -> np.ndarray:
    """`[n, channels, bins]` descriptors of 4,096 pixels, for a quick run."""
    return rng.multinomial(4096, rng.dirichlet(np.full(bins, 0.5), (n, channels))).astype(np.uint16)


def descriptors(given: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target and source counts, and weights."""
    if given.small:
        rng = np.random.default_rng(0)
        return drawn(rng, 40), drawn(rng, 3000), np.full(6, 1 / 6)
    return measuring.gabor_descriptors(given)


def main() -> None:
    """Measure and print."""
    given = measuring.arguments(argparse.ArgumentParser(description=__doc__.split("\n")[0]))
    targets, sources, weights = descriptors(given)
    max_k = min(MAX_K, len(sources) // 10)
    u = lift_targets(targets, weights)[0].astype(np.float32)
    v = np.concatenate([lift_sources(sources[tile], weights).astype(np.float32) for tile in tiles(len(sources), 1024)])
    index = faiss.IndexFlatIP(v.shape[1])
    index.add(v)
    left, right = (np.ascontiguousarray(side[:, :-1]) for side in (u, v))  # of a depth that suits every library
    out = np.empty((len(left), len(right)), np.float32)
    tensors = tf.constant(left), tf.constant(right)
    parts = list(tiles(len(right), TILE))
    seconds = measuring.in_turns(
        given.turns,
        numpy=lambda: np.matmul(left, right.T, out=out),
        numpy_tiled=lambda: [np.matmul(left, right[part].T, out=out[:, part]) for part in parts],
        tensorflow=lambda: tf.matmul(*tensors, transpose_b=True).numpy(),
        tensorflow_tiled=lambda: [tf.matmul(left, right[part], transpose_b=True).numpy() for part in parts],
        search=lambda: search_exact(targets, sources, weights, max_k=max_k),
        faiss=lambda: index.search(u, max_k),
    )
    products = [name for name in seconds if name not in ("search", "faiss")]
    product = min((seconds[name] for name in products), key=np.min)
    gemm_ratio, gemm_spread = measuring.ratio(product, seconds["search"])
    faiss_ratio, faiss_spread = measuring.ratio(seconds["faiss"], seconds["search"])
    measuring.report(
        "exact_search",
        gemm_ratio=gemm_ratio,
        faiss_ratio=faiss_ratio,
        spread={"gemm_ratio": gemm_spread, "faiss_ratio": faiss_spread},
        seconds={name: times.tolist() for name, times in seconds.items()},
        n_target=len(targets),
        n_source=len(sources),
        depth=left.shape[1],
        max_k=max_k,
    )


if __name__ == "__main__":
    main()
