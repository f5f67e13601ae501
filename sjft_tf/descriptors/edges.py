"""Bin edges: fitted on the target's responses, applied to every image's (specification 1.3). Pure NumPy.

All functions work on channels side by side: `[D]` bounds, `[D, I]` fine counts, `[D, bins - 1]` inner edges.
"""

import dataclasses
import logging
import os
from collections.abc import Sequence

import numpy as np

from sjft_tf import files
from sjft_tf.errors import InputError

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BinEdges:
    """Where each channel's histogram is cut.

    Attributes:
        lower: `[D]` float32, the least response on the target; responses at or below it fall in the first bin.
        upper: `[D]` float32, the greatest; responses at or above it fall in the last bin.
        edges: `[D, bins - 1]` float32, ascending, between the two; bin k is `[edges[k - 1], edges[k])`.
    """

    lower: np.ndarray
    upper: np.ndarray
    edges: np.ndarray

    def __post_init__(self) -> None:
        if self.edges.ndim != 2 or self.lower.shape != self.upper.shape or self.lower.shape != self.edges.shape[:1]:
            raise InputError(
                f"bin edges of shapes {self.lower.shape}, {self.upper.shape} and {self.edges.shape} do not belong together"
            )
        cuts = np.column_stack([self.lower, self.edges, self.upper])
        if not np.isfinite(cuts).all() or (np.diff(cuts) < 0).any():
            raise InputError("bin edges must be finite and ascend from the lower to the upper bound in every channel")

    @property
    def bins(self) -> int:
        """Bins per channel."""
        return self.edges.shape[1] + 1

    def save(self, path: str | os.PathLike) -> None:
        """Write to an `.npz` file."""
        files.save_arrays(path, lower=self.lower, upper=self.upper, edges=self.edges)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "BinEdges":
        """Read what `save` wrote; `InputError` if the file is missing, damaged or inconsistent."""
        return cls(**files.load_arrays(path, dict.fromkeys(("lower", "upper", "edges"), np.float32)))


def fine_indices(responses: np.ndarray, lower: np.ndarray, upper: np.ndarray, intervals: int) -> np.ndarray:
    """Index of each response's fine interval, int64; `intervals` equal ones cover `[lower, upper]`.

    Args:
        responses: `[D, n]`.
        lower, upper: `[D]`; a channel where they are equal has index 0 throughout.
        intervals: I.
    """
    lower, upper = np.float64(lower)[:, None], np.float64(upper)[:, None]
    width = np.where(upper > lower, (upper - lower) / intervals, 1)
    return np.clip(np.trunc((responses - lower) / width), 0, intervals - 1).astype(np.int64)


def fine_histogram_counts(responses: np.ndarray, lower: np.ndarray, upper: np.ndarray, intervals: int) -> np.ndarray:
    """How many of each channel's responses (`[D, n]`) fall in each of its fine intervals: `[D, intervals]` int64."""
    indices = fine_indices(responses, lower, upper, intervals)
    offsets = np.arange(len(indices))[:, None] * intervals
    return np.bincount((indices + offsets).ravel(), minlength=len(indices) * intervals).reshape(-1, intervals)


def quantile_edges(counts: np.ndarray, lower: np.ndarray, upper: np.ndarray, bins: int) -> np.ndarray:
    """Inner edges at the k/bins quantiles of the fine histogram's piecewise linear CDF: `[D, bins - 1]` float64.

    Edge k is the smallest x with CDF(x) = k / bins.

    Args:
        counts: `[D, I]` fine counts, at least one in every channel.
        lower, upper: `[D]` bounds.
        bins: number of bins.
    """
    cumulative = np.cumsum(counts, axis=1, dtype=np.float64)
    total = cumulative[:, -1:]
    wanted = total * np.arange(1, bins) / bins
    interval = np.stack([np.searchsorted(c, w) for c, w in zip(cumulative, wanted, strict=True)])
    inside = np.take_along_axis(counts, interval, 1)
    fraction = 1 - (np.take_along_axis(cumulative, interval, 1) - wanted) / inside
    return _position(interval + fraction, lower, upper, counts.shape[1])


def authors_edges(counts: np.ndarray, lower: np.ndarray, upper: np.ndarray, bins: int) -> np.ndarray:
    """Inner edges by the rule of the authors' code, with its starved last bins: `[D, bins - 1]` float64.

    Walking over the fine intervals, whenever the mass since the last edge reaches n bins' share, n bins of equal width
    end at the interval's right side and the surplus is dropped; bins left over at the end share what remains.

    Args:
        counts: `[D, I]` fine counts.
        lower, upper: `[D]` bounds.
        bins: number of bins.
    """
    edges = np.stack([_walk(channel / (channel.sum() + 1), bins) for channel in counts])
    return _position(edges[:, :-1], lower, upper, counts.shape[1])


def _walk(masses: np.ndarray, bins: int) -> np.ndarray:
    """The `bins` upper edges of one channel in units of fine intervals."""
    edges: list[float] = []
    start, mass = 0, 0.0
    for interval, share in enumerate(masses):
        mass += share
        reached = int(mass * bins)
        if reached:
            edges.extend(np.linspace(start, interval + 1, reached + 1)[1:])
            start, mass = interval + 1, 0.0
    return np.concatenate([edges, np.linspace(start, len(masses), bins - len(edges) + 1)[1:]])


def _position(intervals: np.ndarray, lower: np.ndarray, upper: np.ndarray, n_intervals: int) -> np.ndarray:
    """Positions counted in fine intervals, as responses."""
    lower, upper = np.float64(lower)[:, None], np.float64(upper)[:, None]
    return lower + intervals * ((upper - lower) / n_intervals)


RULES = {"quantile": quantile_edges, "authors": authors_edges}


def edges_from_counts(
    counts: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, bins: int, binning: str, channel_names: Sequence[str]
) -> BinEdges:
    """Bin edges from the target's fine histogram; warns of channels that are constant on the target.

    Args:
        counts: `[D, I]` fine counts.
        lower, upper: `[D]` bounds of the target's responses.
        bins: number of bins.
        binning: "quantile" or "authors".
        channel_names: `[D]`, for the warning.

    Raises:
        InputError: `binning` is neither.
    """
    if binning not in RULES:
        raise InputError(f"binning is {binning!r}; it must be one of {', '.join(RULES)}")
    constant = [name for name, flat in zip(channel_names, lower == upper, strict=True) if flat]
    if constant:
        logger.warning("the response is the same in every pixel of the target in: %s", "; ".join(constant))
    lower, upper = np.float32(lower), np.float32(upper)
    edges = RULES[binning](counts, lower, upper, bins).astype(np.float32)
    return BinEdges(lower, upper, np.clip(edges, lower[:, None], upper[:, None]))


def bin_indices(responses: np.ndarray, edges: BinEdges) -> np.ndarray:
    """Bin of each response; the definition to which the graph in `histograms` is held.

    Args:
        responses: `[D, n]` float32.
        edges: of D channels.

    Returns:
        `[D, n]` int64 in 0..bins - 1.
    """
    indices = np.stack([np.searchsorted(e, x, side="right") for e, x in zip(edges.edges, responses, strict=True)])
    indices = np.where(responses >= edges.upper[:, None], edges.bins - 1, indices)
    return np.where(responses <= edges.lower[:, None], 0, indices)
