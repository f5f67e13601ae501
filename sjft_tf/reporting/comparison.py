"""Figures of a study: differences with their intervals, and accuracy against what it took."""

from collections.abc import Sequence

import matplotlib.figure
import matplotlib.ticker

from sjft_tf.reporting import drawing
from sjft_tf.reporting.study_data import ArmSummary, Contrast

_COLORS = ("target", "source", "settled", "uncertain", "wrong", "muted")
_MARKERS = "osD^vP"


def forest_plot(contrasts: Sequence[Contrast]) -> matplotlib.figure.Figure:
    """A line a contrast: mean and 95 % interval of the difference in points; a filled mark is one that Holm leaves."""
    figure, axes = drawing.chart(height=0.8 + 0.36 * len(contrasts))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x")
    axes.axvline(0, color=drawing.color("muted"), lw=1.0, zorder=1.5)
    for row, contrast in enumerate(contrasts):
        found = contrast.difference
        if found is None:
            continue
        shade = drawing.color({"pays": "settled", "hurts": "wrong"}.get(contrast.verdict, "muted"))
        axes.plot((found.low, found.high), (row, row), color=shade, solid_capstyle="butt")
        face = shade if contrast.holds else drawing.color("paper")
        axes.plot(found.mean, row, "o", color=shade, markerfacecolor=face, markersize=6.5)
    axes.set_yticks(range(len(contrasts)), [drawing.label(contrast.label, 34) for contrast in contrasts])
    axes.set_ylim(len(contrasts) - 0.4, -0.6)
    axes.set_xlabel("difference in points")
    return figure


def accuracy_by_images(arms: Sequence[ArmSummary]) -> matplotlib.figure.Figure:
    """Mean test accuracy of every arm after each round against the target images seen until then."""
    return _curves(arms, "target_images", "target images seen")


def accuracy_by_time(arms: Sequence[ArmSummary]) -> matplotlib.figure.Figure:
    """The same against seconds of training."""
    return _curves(arms, "train_seconds", "seconds of training")


def _curves(arms: Sequence[ArmSummary], field: str, name: str) -> matplotlib.figure.Figure:
    figure, axes = drawing.chart(height=2.9 + 0.16 * len(arms))
    for i, arm in enumerate(arm for arm in arms if arm.rounds):
        shade, marker = drawing.color(_COLORS[i % len(_COLORS)]), _MARKERS[i // len(_COLORS) % len(_MARKERS)]
        across = [getattr(point, field) for point in arm.rounds]
        heights = [point.accuracy for point in arm.rounds]
        axes.plot(across, heights, marker=marker, color=shade, label=drawing.label(arm.name, 24))
    axes.set_xlabel(name)
    axes.set_ylabel("mean class accuracy, %")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(y=0.12)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(3, len(labels)))
    return figure
