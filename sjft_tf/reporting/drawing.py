"""How every figure of a report looks, and how it becomes an SVG that follows the reader's light or dark setting.

Figures are drawn in the light palette. In the finished SVG each of its colors becomes a CSS variable, which a style
rule inside the SVG sets for both settings, so that one picture serves both. Text stays text, in the font of the page.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import matplotlib.axes
import matplotlib.figure
import matplotlib.font_manager
import numpy as np

from sjft_tf.reporting.words import printable, shortened

# name: (light, dark); the page uses the same variables
PALETTE = {
    "ink": ("#1b2129", "#e4e7eb"),
    "muted": ("#626c7a", "#98a2b0"),
    "hairline": ("#e3e6ea", "#313843"),
    "paper": ("#fdfdfc", "#14181e"),
    "panel": ("#f4f5f6", "#1c222a"),
    "target": ("#2558b8", "#7ba6f2"),
    "source": ("#b8651b", "#e2a063"),
    "wrong": ("#c4424e", "#e87b84"),
    "uncertain": ("#dca035", "#e3b75f"),
    "settled": ("#3d8f7d", "#63b8a4"),
}
OUTCOMES = ("wrong", "uncertain", "settled")
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"
_BEYOND_LATIN = ("Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "Noto Sans Devanagari")
WIDTH = 4.4  # inches; half the page on a desktop, the whole of a phone

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sjft-tf",
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": PALETTE["ink"][0],
    **dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), PALETTE["muted"][0]),
    **dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), PALETTE["hairline"][0]),
    **dict.fromkeys(("axes.linewidth", "grid.linewidth"), 0.8),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.spines.left"), False),
    "axes.axisbelow": True,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.6,
    "legend.borderaxespad": 0.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Inside, figures are drawn and written in the report's style; the caller's matplotlib settings come back after."""
    installed = set(matplotlib.font_manager.get_font_names())
    families = ["DejaVu Sans", *(name for name in _BEYOND_LATIN if name in installed)]
    with matplotlib.rc_context({**_STYLE, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's browser has it
        yield


def color(name: str) -> str:
    """The light color of that name."""
    return PALETTE[name][0]


def label(text: str, width: int) -> str:
    """`text` as a figure can hold it, at most `width` columns."""
    return shortened(printable(text), width)


def chart(height: float) -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    """A figure `height` inches high with one pair of axes and horizontal grid lines."""
    figure = matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(axis="y")
    return figure, axes


def number_rounds(axes: matplotlib.axes.Axes, rounds: Sequence[int]) -> None:
    """Label the x axis by round: every one of up to 10, then every second, third, ..."""
    axes.set_xlabel("round")
    axes.set_xlim(min(rounds) - 0.5, max(rounds) + 0.5)
    axes.set_xticks(rounds[:: -(-len(rounds) // 10)])


def legend_above(figure: matplotlib.figure.Figure, axes: matplotlib.axes.Axes) -> None:
    """Name the series of `axes` in one line above them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))


def spread(n: int, at_most: int = 8) -> np.ndarray:
    """`[<= at_most]` int, the first of `n`, the last, and evenly spread ones between; the same ones each time."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(int))


def rows_by_round(rounds: np.ndarray) -> tuple[matplotlib.figure.Figure, list[matplotlib.axes.Axes]]:
    """One low pair of axes a round under each other, sharing both axes, named at the left."""
    figure = matplotlib.figure.Figure(figsize=(WIDTH, 0.8 + 0.52 * len(rounds)), layout="constrained")
    rows = figure.subplots(len(rounds), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, number in zip(rows, rounds, strict=True):
        axes.set_yticks([])
        axes.set_ylabel(f"round {number + 1}", rotation=0, ha="right", va="bottom", y=0.0, labelpad=6)
        axes.tick_params(axis="x", length=3 if axes is rows[-1] else 0)
    return figure, list(rows)


def svg(figure: matplotlib.figure.Figure) -> str:
    """`figure` as an SVG document; the same figure gives the same text. To be called within `figure_style`."""
    buffer = io.StringIO()
    absent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=absent)
    text = buffer.getvalue()
    for name, (light, _) in PALETTE.items():
        text = text.replace(light, f"var(--{name},{light})")
    text = re.sub(r'font-family: [^;"]*', f"font-family: {FONTS}", text)
    return text.replace("<defs>", f"<style>{palette_css()}</style><defs>", 1)


def palette_css() -> str:
    """Style rules that define the palette's colors as variables for the light and the dark setting."""
    light, dark = ("".join(f"--{name}:{pair[i]};" for name, pair in PALETTE.items()) for i in (0, 1))
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
