"""The stage `report`: one page about the run, and pictures of neighbors."""

import dataclasses
import logging
import pathlib
import time

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.evaluation import confusion_matrix
from sjft_tf.images import decode
from sjft_tf.reporting import (
    RANKS,
    Borrowing,
    Certificate,
    GalleryRow,
    Hub,
    Neighbor,
    ReportData,
    neighbor_picture,
    write_report,
)
from sjft_tf.retrieval import NeighborTable, borrowing
from sjft_tf.stages.descriptors import search
from sjft_tf.stages.evaluate import evaluate, predictions
from sjft_tf.stages.progress_page import training_fields
from sjft_tf.stages.run import Run
from sjft_tf.stages.train import completed_rounds

GALLERY_ROWS = 8
HUBS = 8
logger = logging.getLogger(__name__)


def report(run: Run) -> None:
    """Write `report.html` from what the run has on disk, unless it is up to date."""
    metrics = evaluate(run)
    if run.folder.is_recorded("report", run.metrics_hash) and run.folder.report.exists():
        return
    start = time.monotonic()
    write_report(run.folder.report, _report_data(run, metrics))
    run.folder.record_stage("report", run.metrics_hash, time.monotonic() - start)
    logger.info("report: %s", run.folder.report)


def draw_neighbors(run: Run, target_ids: list[str], path: pathlib.Path) -> None:
    """Write a picture of some target images beside their 1st, 10th, 20th, 30th and 40th neighbors.

    Raises:
        InputError: the run keeps no neighbors, or the target has no image of that id.
    """
    neighbor_picture(path, [gallery_row(run, search(run), position_of(run, name)) for name in target_ids])


def nearest(run: Run, target_id: str, count: int = 10) -> list[tuple[int, str, str, float]]:
    """Rank, id, class name and divergence of the nearest source images of one target image."""
    position, table, source = position_of(run, target_id), search(run), run.need_source()
    found = zip(table.indices[position, :count], table.divergences[position, :count], strict=True)
    return [
        (rank, source.ids[i], source.class_names[source.labels[i]], float(divergence))
        for rank, (i, divergence) in enumerate(found, start=1)
    ]


def position_of(run: Run, target_id: str) -> int:
    """The index of a target image.

    Raises:
        InputError: the target has no image of that id.
    """
    try:
        return list(run.target.ids).index(target_id)
    except ValueError:
        example = run.target.ids[0]
        raise InputError(f"the target has no image {target_id!r}; ids look like {example!r}") from None


def gallery_row(run: Run, table: NeighborTable, position: int) -> GalleryRow:
    """One target image with its neighbors at `RANKS`, as far as the table goes."""
    source, ranks = run.need_source(), [rank for rank in RANKS if rank <= table.depth]
    sources = table.indices[position, [rank - 1 for rank in ranks]]
    neighbors = [
        Neighbor(
            rank=rank,
            image=decode(encoded).numpy(),
            label=source.class_names[source.labels[index]],
            divergence=float(table.divergences[position, rank - 1]),
            unit="" if run.experiment.descriptor.semantic else "nats",
        )
        for rank, index, encoded in zip(ranks, sources, source.encoded(sources), strict=True)
    ]
    (encoded,) = run.target.encoded(np.array([position]))
    return GalleryRow(decode(encoded).numpy(), run.target.class_names[run.target.labels[position]], neighbors)


def borrowing_of(run: Run, table: NeighborTable, counts: np.ndarray) -> Borrowing:
    """Who is borrowed from when target image i draws on its first `counts[i]` neighbors."""
    source = run.need_source()
    found = borrowing.occurrences(table.indices, counts, len(source))
    by_class = borrowing.borrowed_by_class(found, source.labels, len(source.class_names))
    held, most = np.flatnonzero(by_class.n_images), borrowing.hubs(found, HUBS)
    return Borrowing(
        occurrences=found,
        skewness=borrowing.skewness(found),
        never_by_chance=borrowing.never_by_chance(counts, len(source)),
        skewness_by_chance=borrowing.skewness_by_chance(counts, len(source)),
        class_names=[source.class_names[label] for label in held.tolist()],
        class_shares=by_class.shares[held],
        class_expected=by_class.expected[held],
        hubs=[
            Hub(decode(encoded).numpy(), source.class_names[source.labels[index]], int(found[index]))
            for index, encoded in zip(most, source.encoded(most), strict=True)
        ],
    )


def certificate_of(run: Run) -> Certificate | None:
    """What an approximate search is certified to find; None where the search was exact."""
    figures = run.folder.load_json(run.folder.retrieval, run.neighbors_hash) or {}
    found = figures.get("certificate")
    return Certificate(**{f.name: found[f.name] for f in dataclasses.fields(Certificate)}) if found else None


def spread_positions(n: int, count: int = GALLERY_ROWS) -> np.ndarray:
    """`[<= count]` int, positions spread evenly over `n` images; the same ones each time."""
    return np.unique(np.linspace(0, n - 1, min(count, n)).round().astype(int))


def _report_data(run: Run, metrics: dict) -> ReportData:
    e, table = run.experiment, search(run) if run.needs_neighbors else None
    rounds = completed_rounds(run)
    test = metrics["test"] or {"rounds": [], "view": e.evaluation.view, "final": {}}
    drew_neighbors = e.selection.mode == "selective"
    gallery = [gallery_row(run, table, i) for i in spread_positions(len(run.target))] if table is not None else []
    return ReportData(
        **training_fields(run, rounds),
        test_rounds=test["rounds"],
        test_view=test["view"],
        ece=test["final"].get("ece"),
        reliability=test["final"].get("reliability", ()),
        best_round=metrics["best_round"],
        class_names=list(run.target.class_names),
        confusion=_confusion(run) if run.test is not None else None,
        gallery=gallery,
        borrowing=borrowing_of(run, table, rounds[-1]["counts"]) if table is not None and drew_neighbors else None,
        certificate=certificate_of(run) if table is not None else None,
    )


def _confusion(run: Run) -> np.ndarray:
    arrays = predictions(run)
    assert arrays is not None  # `evaluate` made them
    return confusion_matrix(arrays["labels"], arrays["probabilities"].argmax(axis=-1), len(run.target.class_names))
