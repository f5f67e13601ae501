"""The report page: numbers, figures and pictures of one run in one file that asks nothing of the network."""

import base64
import os

import jinja2
import matplotlib.figure

from sjft_tf import files
from sjft_tf.reporting import borrowing, calibration, curves, drawing, histograms, neighbors, summary
from sjft_tf.reporting.confusion import MAX_COUNTED, MAX_NAMED, confusion_picture
from sjft_tf.reporting.data import ReportData
from sjft_tf.reporting.gallery import by_rank, shown_ranks, thumbnail_uri
from sjft_tf.reporting.results import class_results, term_names, worst_classes
from sjft_tf.reporting.words import counted, divergence, duration, number, ordinal, percent, seen_by


def write_report(path: str | os.PathLike, data: ReportData) -> None:
    """Write the report of a run as one HTML file with all styles and images inside.

    The page needs no script and no network: its content security policy forbids both. It follows the reader's light or
    dark setting. The same data give the same bytes.

    Args:
        path: the file, by custom `report.html` in the run folder.
        data: what to show; sections without data are left out.

    Raises:
        InputError: the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sjft_tf", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        (tool.__name__, tool) for tool in (counted, percent, number, divergence, duration, ordinal)
    )
    html = environment.get_template("report.html.j2").render(
        data=data,
        sentences=summary.sentences(data),
        headlines=summary.headlines(data),
        watched=summary.watched(data),
        reaches=summary.reaches(data),
        palette_css=drawing.palette_css(),
        fonts=drawing.FONTS,
        figures=_figures(data),
        certified=None if data.certificate is None else neighbors.certified(data.certificate),
        hubs_said=None
        if data.borrowing is None
        else neighbors.hubs_said(data.borrowing, data.domains["target"].n_images),
        classes_said=None if data.borrowing is None else neighbors.classes_said(data.borrowing),
        ranks=shown_ranks(data.gallery),
        by_rank=by_rank,
        thumbnail_uri=thumbnail_uri,
        classes=[] if data.confusion is None else class_results(data.confusion, data.class_names),
        most_counted=MAX_COUNTED,
        most_named=MAX_NAMED,
        calibrated=calibration.calibrated(data.ece, data.reliability) if _has_answers(data) else None,
        seen_by=seen_by(data.test_view),
        terms=term_names(data.history),
        worst=[] if data.confusion is None else worst_classes(data.confusion, data.class_names),
    )
    files.write_text(path, html.encode(errors="replace").decode())  # a name off the disk may hold lone surrogates


def _figures(data: ReportData) -> dict[str, str]:
    """Data URIs of the figures that the data allow, by name."""
    with drawing.figure_style():
        drawn: dict[str, matplotlib.figure.Figure] = {}
        if len(data.test_rounds) > 1:
            drawn["accuracy"] = curves.accuracy_by_round(data.test_rounds, data.history)
        if any(entry.get("loss_curve") for entry in data.history):
            drawn["loss"] = curves.loss_by_step(data.history)
        if any(entry.get("gradients") for entry in data.history):
            drawn["gradients"] = curves.gradients_by_round(data.history)
        if _has_answers(data):
            drawn["reliability"] = calibration.reliability_diagram(data.reliability)
        if data.mode in ("selective", "random") and data.counts_per_round:
            drawn["counts"] = histograms.counts_histogram(data.counts_per_round)
        if data.correct_per_round:
            entropies, correct = data.entropies_per_round, data.correct_per_round
            n_classes = data.domains["target"].n_classes
            drawn["outcomes"] = curves.outcomes_by_round(entropies, correct, data.delta)
            drawn["entropies"] = histograms.entropy_histogram(entropies, correct, data.delta, n_classes)
        if data.mode in ("selective", "random") and summary.reaches(data):
            drawn["reach"] = curves.reach_by_round(data.history)
        if data.borrowing is not None:
            drawn["occurrences"] = borrowing.occurrence_histogram(data.borrowing.occurrences)
            if len(data.borrowing.class_names) > 1:
                drawn["borrowed"] = borrowing.class_bars(data.borrowing)
        if data.confusion is not None:
            drawn["confusion"] = confusion_picture(data.confusion, data.class_names)
        return {name: _data_uri(drawing.svg(figure)) for name, figure in drawn.items()}


def _has_answers(data: ReportData) -> bool:
    return any(found["n"] for found in data.reliability)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
