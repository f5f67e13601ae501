"""Charts over rounds and steps: accuracy, loss, outcomes, source images in reach. Each returns a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from sjft_tf.reporting import drawing
from sjft_tf.reporting.results import averaged, joined_curve
from sjft_tf.reporting.words import percent
from sjft_tf.selection import outcome

MAX_POINTS = 300
_FURTHER_COLORS = ("settled", "uncertain", "wrong", "muted")  # of terms that the palette does not name


def accuracy_by_round(
    test_rounds: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]
) -> matplotlib.figure.Figure:
    """Test accuracies, and validation mean class accuracy where the history has it, against the round."""
    figure, axes = drawing.chart(height=2.9)
    rounds = [entry["round"] + 1 for entry in test_rounds]
    mean_class = [entry["mean_class_accuracy"] for entry in test_rounds]
    overall = [entry["accuracy"] for entry in test_rounds]
    axes.plot(rounds, mean_class, marker="o", color=drawing.color("target"), label="test, mean class", zorder=3)
    axes.plot(rounds, overall, ":", color=drawing.color("target"), label="test, overall")
    validation = [(entry["round"] + 1, entry.get("val_mean_class_accuracy")) for entry in history]
    validation = [point for point in validation if point[1] is not None]
    if validation:
        axes.plot(*zip(*validation, strict=True), color=drawing.color("muted"), lw=1.2, label="validation, mean class")
    last = (rounds[-1], mean_class[-1])
    axes.annotate(percent(last[1]), last, (9, 0), textcoords="offset points", va="center", weight="bold")
    axes.margins(y=0.18)
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0, symbol="\N{NO-BREAK SPACE}%"))
    drawing.number_rounds(axes, rounds)
    axes.set_xlim(right=1.12 * max(rounds) + 0.1)  # room for the last value
    drawing.legend_above(figure, axes)
    return figure


def loss_by_step(history: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """The loss of each term against the step, with a line at the end of each round."""
    figure, axes = drawing.chart(height=2.9)
    curves = [entry["loss_curve"] for entry in history if entry.get("loss_curve")]
    names = dict.fromkeys(name for curve in curves for name in curve if name != "step")
    for number, name in enumerate(names):
        steps, losses, ends = joined_curve(curves, name)
        if len(steps):
            steps, losses = averaged(steps, MAX_POINTS), averaged(losses, MAX_POINTS)
            color = name if name in drawing.PALETTE else _FURTHER_COLORS[number % len(_FURTHER_COLORS)]
            axes.plot(steps, losses, color=drawing.color(color), lw=1.3, label=name)
    for end in ends:
        axes.axvline(end, color=drawing.color("hairline"), lw=0.8, zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    drawing.legend_above(figure, axes)
    return figure


def outcomes_by_round(
    entropies_per_round: Sequence[np.ndarray], correct_per_round: Sequence[np.ndarray], delta: float
) -> matplotlib.figure.Figure:
    """Target images wrong, uncertain and settled after each round, as parts of one bar a round."""
    rounds = drawing.spread(len(correct_per_round))
    outcomes = [outcome(entropies_per_round[i], correct_per_round[i], delta) for i in rounds]
    figure, axes = drawing.chart(height=0.6 + 0.32 * len(rounds))
    n_target = len(correct_per_round[0])
    left = np.zeros(len(rounds))
    for name in drawing.OUTCOMES:
        counts = np.array([getattr(found, f"n_{name}") for found in outcomes])
        bars = axes.barh(range(len(rounds)), counts, left=left, height=0.68, color=drawing.color(name), label=name)
        shown = [f"{count:,}" if count > 0.07 * n_target else "" for count in counts]
        axes.bar_label(bars, shown, label_type="center", color=drawing.color("paper"), size=8.5)
        left += counts
    axes.grid(visible=False)
    axes.set_yticks(range(len(rounds)), [f"round {i + 1}" for i in rounds])
    axes.invert_yaxis()
    axes.set_xlim(0, n_target)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    drawing.legend_above(figure, axes)
    return figure


def reach_by_round(history: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """Distinct source images that training could draw in each round, as bars."""
    figure, axes = drawing.chart(height=2.4)
    rounds = [entry["round"] + 1 for entry in history]
    bars = axes.bar(rounds, [entry["reachable"] for entry in history], width=0.6, color=drawing.color("source"))
    if len(rounds) <= 7:
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, size=8.5)
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.margins(y=0.12)
    drawing.number_rounds(axes, rounds)
    return figure


def gradients_by_round(history: Sequence[Mapping[str, Any]]) -> matplotlib.figure.Figure:
    """Norms of both losses' gradients on the trunk, and the cosine between them, against the round."""
    measured = [(entry["round"] + 1, entry["gradients"]) for entry in history if entry.get("gradients")]
    rounds = [number for number, _ in measured]
    figure = matplotlib.figure.Figure(figsize=(drawing.WIDTH, 2.9), layout="constrained")
    norms, cosines = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes in (norms, cosines):
        axes.grid(axis="y")
    for head in ("target", "source"):
        values = [found[head] for _, found in measured]
        norms.plot(rounds, values, marker="o", color=drawing.color(head), label=head)
    norms.set_ylim(bottom=0)
    norms.margins(y=0.12)
    norms.set_ylabel("norm")
    norms.tick_params(axis="x", length=0)
    cosines.axhline(0, color=drawing.color("muted"), lw=0.8, zorder=3)
    cosines.bar(rounds, [found["cosine"] for _, found in measured], width=0.3, color=drawing.color("muted"))
    cosines.set_ylabel("cosine")
    reach = max(0.2, *(1.1 * abs(found["cosine"]) for _, found in measured))
    cosines.set_ylim(-reach, reach)
    drawing.number_rounds(cosines, rounds)
    drawing.legend_above(figure, norms)
    return figure
