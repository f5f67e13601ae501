"""Who is borrowed from: how many target images each source image serves as a neighbor, by image and by class.

The number of lists in which an image occurs is its k-occurrence. Where a few images occur in very many lists (hubs) and
many in none (anti-hubs), few source images do the work of the whole source. Pure NumPy.

Everywhere `counts` is `[n_target]` int, K of each target image, and `n_source` the number of source images.

Reference: Radovanović, Nanopoulos, Ivanović, Hubs in Space, JMLR 11, 2010.
"""

import numpy as np

from sjft_tf.errors import InputError


def occurrences(indices: np.ndarray, counts: np.ndarray | int, n_source: int) -> np.ndarray:
    """The k-occurrence of every source image: target images that have it within their first K.

    Args:
        indices: `[n_target, depth]` int, source indices, none twice in a row, as in a `NeighborTable`.
        counts: in 0..depth; a plain int stands for every row.

    Returns:
        `[n_source]` int64 in 0..n_target; its sum is that of K.

    Raises:
        InputError: a K is out of range, or the rows name an image that the source does not have.
    """
    n_target, depth = indices.shape
    counts = np.broadcast_to(np.asarray(counts), n_target)
    if counts.min(initial=0) < 0 or counts.max(initial=0) > depth:
        raise InputError(f"K is {counts.min()} to {counts.max()}; the rows are {depth} long")
    if indices.max(initial=0) >= n_source:
        raise InputError(f"n_source is {n_source}, but the neighbor table names image {indices.max()}")
    return np.bincount(indices[np.arange(depth) < counts[:, None]], minlength=n_source)


def class_shares(occurrences: np.ndarray, source_labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each source class is borrowed from.

    Args:
        occurrences: `[n_source]` int, of `occurrences`.
        source_labels: `[n_source]` int in 0..n_classes - 1.
        n_classes: C.

    Returns:
        `[C]` float64 each: the class's share of all occurrences, zeros where there is none, and its share if every image
        were borrowed equally often, zero where it has no images.
    """
    borrowed = np.bincount(source_labels, weights=occurrences, minlength=n_classes)
    images = np.bincount(source_labels, minlength=n_classes)
    return borrowed / max(borrowed.sum(), 1), images / max(images.sum(), 1)


def hubs(occurrences: np.ndarray, at_most: int) -> np.ndarray:
    """`[<= at_most]` int, the source images of most occurrences, most first, ties by lower index; none of zero."""
    order = np.argsort(-occurrences, kind="stable")[:at_most]
    return np.asarray(order[occurrences[order] > 0])


def skewness(occurrences: np.ndarray) -> float:
    """Skewness of k-occurrences, `E[(N - mean)^3] / std^3`: the measure of hubness; 0 where all are equal."""
    deviations = occurrences - occurrences.mean()
    variance = np.mean(deviations**2)
    return float(np.mean(deviations**3) / variance**1.5) if variance > 0 else 0.0


def never_by_chance(counts: np.ndarray, n_source: int) -> float:
    """The share of source images that would occur in no list if the lists were random: `prod_i (1 - K_i / n_source)`."""
    return float(np.prod(1 - np.asarray(counts) / n_source))


def skewness_by_chance(counts: np.ndarray, n_source: int) -> float:
    """The skewness of k-occurrences if the lists were random, with `p_i = K_i / n_source`.

    An image's occurrence is then a sum of independent draws of 0 or 1 (Poisson binomial):
    `sum_i p_i (1 - p_i) (1 - 2 p_i) / (sum_i p_i (1 - p_i))^1.5`; 0 where nothing is left to chance.
    """
    p = np.asarray(counts) / n_source
    variances = p * (1 - p)
    return float((variances * (1 - 2 * p)).sum() / variances.sum() ** 1.5) if variances.sum() > 0 else 0.0
