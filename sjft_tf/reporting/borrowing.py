"""Charts of who is borrowed from: source classes, and source images by the lists they are in. Each returns a figure."""

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from sjft_tf.reporting import drawing
from sjft_tf.reporting.data import Borrowing

MAX_BARS = 15  # classes that get a bar
MAX_EDGES = 11  # powers of two that get a name
_NEVER = -0.9  # middle of the bar of images in no list stands, on the axis of doublings


def shown_classes(shares: np.ndarray) -> np.ndarray:
    """`[<= MAX_BARS]` int, the classes of largest share, largest first, ties by lower index; none of share 0."""
    order = np.argsort(-shares, kind="stable")[:MAX_BARS]
    return np.asarray(order[shares[order] > 0])


def class_bars(borrowing: Borrowing) -> matplotlib.figure.Figure:
    """The share of pairs of the classes most borrowed from, with a mark at the share of the source's images."""
    shown = shown_classes(borrowing.class_shares)
    shares, expected = borrowing.class_shares[shown], borrowing.class_expected[shown]
    figure, axes = drawing.chart(height=0.75 + 0.21 * len(shown))
    rows = np.arange(len(shown))
    axes.barh(rows, shares, height=0.66, color=drawing.color("source"), label="share of the pairs")
    axes.plot(expected, rows, "|", color=drawing.color("ink"), ms=12, mew=1.4, label="share of the source")
    for row, end, ratio in zip(rows, np.maximum(shares, expected), shares / expected, strict=True):
        axes.annotate(f"× {ratio:.1f}", (end, row), (5, 0), textcoords="offset points", va="center", size=8.5)
    axes.grid(visible=False)
    axes.set_yticks(rows, [drawing.label(borrowing.class_names[label], 22) for label in shown])
    axes.tick_params(axis="y", labelcolor=drawing.color("ink"))
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.14 * max(shares.max(), expected.max()))
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}\N{NO-BREAK SPACE}%")
    drawing.legend_above(figure, axes)
    return figure


def doublings(occurrences: np.ndarray) -> np.ndarray:
    """How many images are in no list, in 1, in 2 to 3, 4 to 7, 8 to 15, ... lists; `[>= 1]` int."""
    _, exponents = np.frexp(occurrences)  # 0 for 0, 1 for 1, 2 for 2 and 3, ...
    return np.bincount(exponents)


def occurrence_histogram(occurrences: np.ndarray) -> matplotlib.figure.Figure:
    """Source images by the number of target images they are neighbors of; both axes are logarithmic, 0 stands apart."""
    heights = doublings(occurrences)
    figure, axes = drawing.chart(height=2.9)
    edges = np.arange(len(heights))  # of the bars of images in a list; exponents of two
    axes.bar(_NEVER, heights[0], width=0.94, color=drawing.color("muted"))
    axes.bar(edges[:-1] + 0.5, heights[1:], width=0.94, color=drawing.color("source"))
    named = edges[:: -(-len(edges) // MAX_EDGES)]
    axes.set_xticks([_NEVER, *named], ["none", *(f"{2**edge:,}" for edge in named)])
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2 * heights.max())
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_xlabel("target images that have the source image within reach")
    axes.set_ylabel("source images")
    return figure
