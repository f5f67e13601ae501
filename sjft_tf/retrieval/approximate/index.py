"""A ScaNN index of embedded source vectors.

The distance is the inner product, because the lengths of lifted vectors differ and matter. Two builds are equal
because one thread trains, and leaves begin from k-means++, whose seed is a constant: ScaNN's random beginning has none.
"""

from typing import Any

import numpy as np

from sjft_tf.errors import InputError

BRUTE_FORCE_ROWS = 1_000_000  # beyond, vectors lie in leaves
_REORDERED = 4  # candidates from leaves are chosen among so many times as many by exact inner products
_SEEN, _LEAST_SEEN = 25, 0.1  # leaves of so many times the candidates are searched, and this share at least


class ScannIndex:
    """Finds the vectors of greatest inner product with a query; equal vectors make an equal index.

    Args:
        vectors: `[n, d]` float32.
        leaves: of a tree, in which vectors are hashed and reordered; 0 for brute force.

    Raises:
        InputError: ScaNN cannot be imported.
    """

    def __init__(self, vectors: np.ndarray, leaves: int) -> None:
        self._size, self._leaves = len(vectors), leaves
        builder = scann_operations().builder(vectors, 1, "dot_product").set_n_training_threads(1)
        if leaves:
            builder = builder.tree(leaves, leaves, random_init=False).score_ah(2).reorder(_REORDERED)
        else:
            builder = builder.score_brute_force()
        self._searcher = builder.build()

    def search(self, queries: np.ndarray, candidates: int) -> np.ndarray:
        """The indices of the greatest inner products with each query.

        Args:
            queries: `[n, d]` float32.
            candidates: how many, at most the number of vectors.

        Returns:
            `[n, candidates]` int64, ascending in each row.
        """
        if candidates == self._size:
            return np.tile(np.arange(self._size), (len(queries), 1))
        options = {}
        if self._leaves:
            seen = min(1, max(_LEAST_SEEN, _SEEN * candidates / self._size))
            options = {
                "pre_reorder_num_neighbors": min(_REORDERED * candidates, self._size),
                "leaves_to_search": int(np.ceil(seen * self._leaves)),
            }
        found, _ = self._searcher.search_batched_parallel(
            np.ascontiguousarray(queries), final_num_neighbors=candidates, **options
        )
        return np.sort(np.asarray(found).astype(np.int64), axis=1)


def leaves_for(n: int) -> int:
    """The leaves of an index of `n` vectors that is searched fast; 0 for brute force."""
    return 0 if n <= BRUTE_FORCE_ROWS else int(np.sqrt(n))


def index_bytes(n: int, dimensions: int) -> int:
    """Memory for an index of `n` vectors and for the vectors it is built from."""
    return 8 * n * dimensions + (n * dimensions // 4 + 16 * n if leaves_for(n) else 0)


def scann_operations() -> Any:
    """ScaNN's Python interface; InputError, which names the remedy, where it cannot be imported."""
    try:
        from scann import scann_ops_pybind
    except Exception as error:  # an undefined symbol is TensorFlow's NotFoundError, which is no ImportError
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"ScaNN cannot be imported ({reason}); it needs Linux and TensorFlow 2.20: pip install scann==1.4.2, or set "
            "retrieval.method to exact"
        ) from error
    return scann_ops_pybind
