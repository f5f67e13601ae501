"""Bin edges from the target's bounds and fine histogram: Ge & Yu, CVPR 2017, section 3.2. Pure NumPy.

The fine histogram divides each channel's bounds into I equal intervals; `histograms` counts it, and applies the edges.
All functions take channels side by side: fine counts, `[D, I]` int, at least one in every channel, and the bounds of the
target's responses, lower and upper, `[D]` float32.
"""

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from sjft_tf.errors import InputError

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class BinEdges:
    """Where each channel's histogram is cut; bin k is `[edges[k - 1], edges[k])`.

    Attributes:
        lower: `[D]` float32, the least response to the target; responses at or below it fall in the first bin.
        upper: `[D]` float32, the greatest; responses at or above it, but not at the lower bound, fall in the last bin.
        edges: `[D, bins - 1]` float32, ascending from the lower bound to the upper.
    """

    lower: np.ndarray
    upper: np.ndarray
    edges: np.ndarray

    def __post_init__(self) -> None:
        if self.edges.ndim != 2 or self.lower.shape != self.upper.shape or self.lower.shape != self.edges.shape[:1]:
            shapes = f"{self.lower.shape}, {self.upper.shape} and {self.edges.shape}"
            raise InputError(f"bounds and bin edges of shapes {shapes}; they must be (D,), (D,) and (D, bins - 1)")
        cuts = np.column_stack([self.lower, self.edges, self.upper])
        if not np.isfinite(cuts).all() or (np.diff(cuts) < 0).any():
            raise InputError("bin edges must be finite and ascend from the lower to the upper bound in every channel")

    @property
    def bins(self) -> int:
        """Bins per channel."""
        return int(self.edges.shape[1]) + 1


def quantile_edges(counts: np.ndarray, lower: np.ndarray, upper: np.ndarray, bins: int) -> np.ndarray:
    """Inner edges at the k/bins quantiles of the fine histogram's piecewise linear CDF: `[D, bins - 1]` float64.

    Edge k is the smallest x with CDF(x) = k / bins.
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
    low, high = (np.asarray(bound, np.float64)[:, None] for bound in (lower, upper))
    return np.asarray(low + intervals * ((high - low) / n_intervals))


RULES = {"quantile": quantile_edges, "authors": authors_edges}


def check_binning(binning: str) -> None:
    """Raise InputError unless there is a rule of that name."""
    if binning not in RULES:
        raise InputError(f"binning is {binning!r}; it must be one of {', '.join(RULES)}")


def edges_from_counts(
    counts: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, bins: int, binning: str, channel_names: Sequence[str]
) -> BinEdges:
    """Bin edges by a rule of `RULES`; warns of channels, by `channel_names`, that are constant on the target."""
    check_binning(binning)
    constant = [name for name, flat in zip(channel_names, lower == upper, strict=True) if flat]
    if constant:
        logger.warning("the response is the same in every pixel of the target in: %s", "; ".join(constant))
    edges = RULES[binning](counts, lower, upper, bins).astype(np.float32)
    return BinEdges(lower, upper, np.clip(edges, lower[:, None], upper[:, None]))
