"""Target images beside some of their source neighbors, in the layout of the paper's Figure 2."""

import base64
import io
import os
from collections.abc import Sequence
from typing import Any

import matplotlib.axes
import matplotlib.figure
import numpy as np
import PIL.Image

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.reporting import drawing
from sjft_tf.reporting.data import GalleryRow, Shot
from sjft_tf.reporting.words import ordinal

RANKS = (1, 10, 20, 30, 40)  # of Figure 2
THUMBNAIL = 144  # pixels, longer side
_CELL, _IMAGE, _TEXT, _TOP, _MARGIN = 1.5, 1.34, 0.34, 0.44, 0.2  # inches
_DPI = 120


def shown_ranks(rows: Sequence[GalleryRow]) -> list[int]:
    """The ranks that occur in `rows`, ascending."""
    return sorted({rank for row in rows for rank in row.neighbors})


def neighbor_picture(path: str | os.PathLike, rows: Sequence[GalleryRow]) -> None:
    """Write a PNG with one target image a row and beside it its neighbors with class name and divergence.

    A rank that a row lacks, but another has, stays empty.

    Raises:
        InputError: there are no rows, or the file cannot be written.
    """
    if not rows:
        raise InputError("the neighbor picture has no rows; it needs one target image or more")
    with drawing.figure_style(), files.replacing(path) as file:
        _draw(rows).savefig(file, format="png", dpi=_DPI, facecolor="white")


def _draw(rows: Sequence[GalleryRow]) -> matplotlib.figure.Figure:
    ranks = shown_ranks(rows)
    width, height = _MARGIN + _CELL * (1 + len(ranks)), _TOP + (_CELL + _TEXT) * len(rows)
    figure = matplotlib.figure.Figure(figsize=(width, height))
    lefts = _MARGIN + _CELL * np.arange(1 + len(ranks))
    lefts[0] -= 0.1  # the target stands apart
    for left, title in zip(lefts, ["target", *map(ordinal, ranks)], strict=True):
        place = ((left + _IMAGE / 2) / width, 1 - 0.24 / height)
        figure.text(*place, title, ha="center", va="center", size=9.5, weight="bold")
    for number, row in enumerate(rows):
        bottom = height - _TOP - _IMAGE - number * (_CELL + _TEXT)
        for left, shown in zip(lefts, [row.target, *map(row.neighbors.get, ranks)], strict=True):
            if shown is not None:
                _show(figure.add_axes((left / width, bottom / height, _IMAGE / width, _IMAGE / height)), shown)
    return figure


def _show(axes: matplotlib.axes.Axes, shown: Shot) -> None:
    axes.imshow(shown.image, interpolation="auto" if max(shown.image.shape[:2]) > _IMAGE * _DPI else "bicubic")
    axes.set_axis_off()
    under: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    axes.annotate(drawing.label(shown.label, 22), (0.5, 0), (0, -4), **under, size=8)
    axes.annotate(shown.detail, (0.5, 0), (0, -15), **under, size=8, color=drawing.color("muted"))


def thumbnail_uri(image: np.ndarray) -> str:
    """`image`, uint8 `[h, w, 3]`, as the data URI of a JPEG whose longer side is at most `THUMBNAIL` pixels."""
    picture = PIL.Image.fromarray(image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
