"""Histograms over the target images, one a round under each other: K and entropy. Each returns a figure."""

from collections.abc import Sequence

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from sjft_tf.reporting import drawing

MAX_VALUES = 40  # so many different K still get a bar each
FLOOR = 1e-3  # nats; entropies below share the lowest bin


def counts_histogram(counts_per_round: Sequence[np.ndarray]) -> matplotlib.figure.Figure:
    """How many target images had which K, with the mean of each round beside it."""
    rounds = drawing.spread(len(counts_per_round))
    figure, rows = drawing.rows_by_round(rounds)
    highest = max(int(counts.max()) for counts in counts_per_round)
    for axes, number in zip(rows, rounds, strict=True):
        counts = counts_per_round[number]
        values, heights = np.unique(counts, return_counts=True)
        if len(values) > MAX_VALUES:
            heights, edges = np.histogram(counts, MAX_VALUES, (0, highest))
            values = (edges[1:] + edges[:-1]) / 2
        axes.bar(values, heights, width=highest / MAX_VALUES, color=drawing.color("target"))
        axes.annotate(f"mean {counts.mean():,.0f}", (1, 0.86), xycoords="axes fraction", ha="right", va="top", size=8.5)
    rows[-1].set_xlim(0, 1.03 * highest)
    rows[-1].set_xlabel("K, source neighbors in reach of a target image")
    rows[-1].xaxis.set_major_formatter("{x:,.0f}")
    return figure


def entropy_histogram(
    entropies_per_round: Sequence[np.ndarray], correct_per_round: Sequence[np.ndarray], delta: float, n_classes: int
) -> matplotlib.figure.Figure:
    """How many target images had which entropy, by outcome, on a logarithmic axis with `delta` marked."""
    rounds = drawing.spread(len(entropies_per_round))
    figure, rows = drawing.rows_by_round(rounds)
    floor = min(FLOOR, delta / 10) if delta > 0 else FLOOR
    edges = entropy_edges(floor, float(np.log(n_classes)), delta)
    for axes, number in zip(rows, rounds, strict=True):
        entropies, correct = entropies_per_round[number], correct_per_round[number]
        uncertain = correct & (entropies >= delta)
        shown = np.clip(np.nan_to_num(entropies, nan=np.inf), edges[0], edges[-1])  # NaN where training diverged
        parts = [shown[~correct], shown[uncertain], shown[correct & ~uncertain]]
        colors = [drawing.color(name) for name in drawing.OUTCOMES]
        axes.hist(parts, list(edges), stacked=True, color=colors, label=drawing.OUTCOMES)
        if delta > 0:
            axes.axvline(delta, color=drawing.color("ink"), lw=1, ls=(0, (3, 2)))
    if delta > 0:
        above = rows[0].get_xaxis_transform()
        rows[0].annotate(f"\N{NO-BREAK SPACE}δ = {delta:g}", (delta, 0.95), xycoords=above, va="top", size=8.5)
    rows[-1].set_xscale("log")
    rows[-1].set_xlim(edges[0], edges[-1])
    rows[-1].xaxis.set_major_formatter(lambda value, _: f"≤ {value:g}" if value <= floor else f"{value:g}")
    rows[-1].xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    rows[-1].set_xlabel("entropy, nats")
    drawing.legend_above(figure, rows[0])
    return figure


def entropy_edges(floor: float, highest: float, delta: float, bins: int = 36) -> np.ndarray:
    """About `bins` bin edges from `floor` to `highest` nats, equally spaced in logarithm; `delta` is one of them."""
    highest = max(highest, 2 * delta, 10 * floor)
    step = np.log(highest / floor) / bins
    anchor = delta if delta > 0 else floor
    below, above = np.ceil(np.log(anchor / floor) / step), np.ceil(np.log(highest / anchor) / step)
    edges: np.ndarray = anchor * np.exp(step * np.arange(-below, above + 1))
    return edges
