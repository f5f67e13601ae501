"""Neighbors of a run's target images, and duplicates in its source, as lines, pictures and figures for people."""

import pathlib

import numpy as np

from sjft_tf.domains import Domain
from sjft_tf.errors import InputError
from sjft_tf.images import decode
from sjft_tf.reporting import RANKS, Borrowing, GalleryRow, Leaked, Shot, neighbor_picture
from sjft_tf.reporting.words import counted, divergence, number
from sjft_tf.retrieval import NeighborTable, borrowing
from sjft_tf.workspace import Leaks, Workspace

HUBS = 8
PAIRS = 4  # a row of the page


def draw_neighbors(workspace: Workspace, table: NeighborTable, target_ids: list[str], path: pathlib.Path) -> None:
    """Write a picture of some target images beside their 1st, 10th, 20th, 30th and 40th neighbors."""
    neighbor_picture(path, [gallery_row(workspace, table, position_of(workspace, name)) for name in target_ids])


def nearest(workspace: Workspace, table: NeighborTable, target_id: str) -> list[tuple[int, str, str, float]]:
    """Rank, id, class name and divergence of the ten nearest source images of one target image."""
    position, source = position_of(workspace, target_id), workspace.need_source()
    found = zip(table.indices[position, :10], table.divergences[position, :10], strict=True)
    return [
        (rank, source.ids[i], source.class_names[source.labels[i]], float(divergence))
        for rank, (i, divergence) in enumerate(found, start=1)
    ]


def position_of(workspace: Workspace, target_id: str) -> int:
    """The index of a target image.

    Raises:
        InputError: the target has no image of that id.
    """
    try:
        return list(workspace.target.ids).index(target_id)
    except ValueError:
        example = workspace.target.ids[0]
        raise InputError(f"the target has no image {target_id!r}; ids look like {example!r}") from None


def gallery_row(workspace: Workspace, table: NeighborTable, position: int) -> GalleryRow:
    """One target image with its neighbors at `RANKS`, as far as the table goes."""
    unit = "" if workspace.experiment.descriptor.semantic else "nats"
    places = [rank - 1 for rank in RANKS if rank <= table.depth]
    said = [divergence(value, unit) for value in table.divergences[position, places]]
    neighbors = _shots(workspace.need_source(), table.indices[position, places], said)
    (target,) = _shots(workspace.target, np.array([position]), [""])
    return GalleryRow(target, dict(zip(RANKS, neighbors, strict=False)))


def _shots(domain: Domain, positions: np.ndarray, details: list[str]) -> list[Shot]:
    return [
        Shot(decode(encoded).numpy(), domain.class_names[domain.labels[position]], detail)
        for position, encoded, detail in zip(positions, domain.encoded(positions), details, strict=True)
    ]


def borrowing_of(workspace: Workspace, table: NeighborTable, counts: np.ndarray) -> Borrowing:
    """Who is borrowed from when target image i draws on its first `counts[i]` neighbors."""
    source = workspace.need_source()
    found = borrowing.occurrences(table.indices, counts, len(source))
    shares, expected = borrowing.class_shares(found, source.labels, len(source.class_names))
    targets = counted(len(counts), "target image")
    held, most = np.flatnonzero(expected), borrowing.hubs(found, HUBS)
    return Borrowing(
        occurrences=found,
        skewness=borrowing.skewness(found),
        never_by_chance=borrowing.never_by_chance(counts, len(source)),
        skewness_by_chance=borrowing.skewness_by_chance(counts, len(source)),
        class_names=[source.class_names[label] for label in held.tolist()],
        class_shares=shares[held],
        class_expected=expected[held],
        hubs=_shots(source, most, [f"neighbor of {number(found[index])} of {targets}" for index in most]),
    )


def leaked_of(leaks: Leaks) -> Leaked:
    """How many source images are duplicates, and pairs on both sides of the limit, by which one sees whether it is right."""
    order = np.argsort(leaks.found.distances, kind="stable")
    dropped, kept = order[leaks.dropped[order]], order[~leaks.dropped[order]]
    n_exact = int(leaks.found.exact.sum())
    groups = {
        "Left out, most alike": dropped[:PAIRS],
        "Left out, just below the limit": dropped[PAIRS:][-PAIRS:],
        "Kept, just above the limit": kept[:PAIRS],
    }
    pairs = {name: [_pair(leaks, row) for row in rows.tolist()] for name, rows in groups.items()}
    return Leaked(len(leaks.source), n_exact, len(dropped) - n_exact, list(leaks.others), leaks.limit, pairs)


def _pair(leaks: Leaks, row: int) -> tuple[Shot, Shot]:
    role, position = leaks.other(row)
    distance = "same bytes" if leaks.found.exact[row] else f"distance {leaks.found.distances[row]:.3f}"
    (source,) = _shots(leaks.source, np.array([row]), [distance])
    (other,) = _shots(leaks.others[role], np.array([position]), [role])
    return source, other
