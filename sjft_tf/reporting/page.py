"""The report page: numbers, figures and pictures of one run in one file that asks nothing of the network."""

import base64
import functools
import os
from collections.abc import Iterable, Iterator, Mapping

import jinja2
import matplotlib.figure

from sjft_tf import files
from sjft_tf.reporting import answers, borrowing, curves, drawing, gallery, histograms, results, words
from sjft_tf.reporting.data import ReportData

_FILTERS = (words.counted, words.duration, words.number, words.ordinal, words.percent, words.recall)
_MODULES = (answers, borrowing, drawing, gallery, results)


def write_report(path: str | os.PathLike, data: ReportData) -> None:
    """Write the report of a run as one HTML file with all styles and images inside.

    The page needs no script and no network: its content security policy forbids both. It follows the reader's light or
    dark setting. The same data give the same bytes.

    Raises:
        InputError: the file cannot be written.
    """
    write_page(path, "report.html.j2", data, _figures(data))


def write_page(
    path: str | os.PathLike, template: str, data: object, figures: Iterable[tuple[str, matplotlib.figure.Figure]]
) -> None:
    """Write a page of what `data` holds; the figures come by name, and are drawn in the style of pages.

    Raises:
        InputError: the file cannot be written.
    """
    with drawing.figure_style():
        html = rendered(data, {name: _data_uri(drawing.svg(figure)) for name, figure in figures}, template)
    files.write_text(path, html.encode(errors="replace").decode())  # a name off the disk may hold lone surrogates


@functools.cache
def templates() -> jinja2.Environment:
    """`report.html.j2`, and `prose.j2` with its sentences; both call `_FILTERS` and `_MODULES`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sjft_tf", "reporting"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update((tool.__name__, tool) for tool in _FILTERS)
    environment.globals.update((module.__name__.rpartition(".")[2], module) for module in _MODULES)
    return environment


def rendered(data: object, figures: Mapping[str, str], template: str = "report.html.j2") -> str:
    """The page as HTML; `figures` are URIs by name."""
    return templates().get_template(template).render(data=data, figures=figures)


def _figures(data: ReportData) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """The figures that the data allow, by name."""
    searched = data.mode in ("selective", "random")
    if len(data.test_rounds) > 1:
        yield "accuracy", curves.accuracy_by_round(data.test_rounds, data.history)
    if any(entry.get("loss_curve") for entry in data.history):
        yield "loss", curves.loss_by_step(data.history)
    if any(entry.get("gradients") for entry in data.history):
        yield "gradients", curves.gradients_by_round(data.history)
    if any(found["n"] for found in data.reliability):
        yield "reliability", answers.reliability_diagram(data.reliability)
    if searched and data.counts_per_round:
        yield "counts", histograms.counts_histogram(data.counts_per_round)
    if data.correct_per_round:
        entropies, correct = data.entropies_per_round, data.correct_per_round
        yield "outcomes", curves.outcomes_by_round(entropies, correct, data.delta)
        n_classes = data.domains["target"].n_classes
        yield "entropies", histograms.entropy_histogram(entropies, correct, data.delta, n_classes)
    if searched and data.reaches:
        yield "reach", curves.reach_by_round(data.history)
    if data.borrowing is not None:
        yield "occurrences", borrowing.occurrence_histogram(data.borrowing.occurrences)
        if len(data.borrowing.class_names) > 1:
            yield "borrowed", borrowing.class_bars(data.borrowing)
    if data.confusion is not None:
        yield "confusion", answers.confusion_picture(data.confusion, data.class_names)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
