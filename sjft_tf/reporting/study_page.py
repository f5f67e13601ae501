"""The page and the text of a study: what differs, by how much, and how sure that is."""

import os
from collections.abc import Iterator

import matplotlib.figure

from sjft_tf.reporting import comparison
from sjft_tf.reporting.page import templates, write_page
from sjft_tf.reporting.study_data import StudyData


def write_study(path: str | os.PathLike[str], data: StudyData) -> None:
    """Write the page of a study as one HTML file that asks nothing of the network; the same data give the same bytes.

    Raises:
        InputError: the file cannot be written.
    """
    write_page(path, "study.html.j2", data, _figures(data))


def study_text(data: StudyData) -> str:
    """The study as Markdown: the reading, and a table of the arms."""
    return templates().get_template("study.md.j2").render(data=data).rstrip() + "\n"


def _figures(data: StudyData) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    if any(contrast.difference is not None for contrast in data.contrasts):
        yield "forest", comparison.forest_plot(data.contrasts)
    if any(arm.rounds for arm in data.arms):
        yield "images", comparison.accuracy_by_images(data.arms)
        yield "time", comparison.accuracy_by_time(data.arms)
