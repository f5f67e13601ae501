"""The main job on synthetic images: three arms, three seeds, a picture of neighbors and a report."""

import contextlib
import importlib.resources
import logging
import pathlib
from collections.abc import Iterator

from sjft_tf import pipeline
from sjft_tf.config import Experiment, parse_experiment
from sjft_tf.reporting.drawing import spread
from sjft_tf.stages.gallery import draw_neighbors
from sjft_tf.studies.study import arm, arm_folder, study
from sjft_tf.workspace import Workspace

MODES = ("none", "random", "selective")
SEEDS = (0, 1, 2)


def demo_experiment() -> Experiment:
    """The experiment that the demo runs in three arms."""
    config = importlib.resources.files("sjft_tf.studies") / "demo.yaml"
    return parse_experiment(config.read_text(), name="the demo's config")


def demo(folder: pathlib.Path) -> Iterator[str]:
    """Run the study of the embedded experiment; the lines to print come back as they are ready.

    Args:
        folder: where the run folders go; a second start resumes from what is there.
    """
    experiment = demo_experiment()
    with _runs_unheard():
        results = study(experiment, folder, MODES, SEEDS)
        run_folder = arm_folder(folder, "selective", SEEDS[0])
        workspace = Workspace(arm(experiment, "selective", SEEDS[0]), run_folder)
        with run_folder.locked():
            neighbors = pipeline.run(workspace).neighbors
            assert neighbors is not None  # the mode has a table
            ids = [workspace.target.ids[i] for i in spread(len(workspace.target), 6)]
            draw_neighbors(workspace, neighbors.table, ids, folder / "neighbors.png")
    yield "test images, mean class accuracy in percent: mean ± half the range over seeds"
    yield from (result.row() for result in results)
    if len(SEEDS) > 1:
        yield f"mean difference over {len(SEEDS)} seeds in percentage points, with its 95 % interval by Student's t"
        *others, selective = results
        for other in reversed(others):
            found = selective.minus(other)
            yield f"selective - {other.mode:6s} {found.mean:+6.1f}   from {found.low:+.1f} to {found.high:+.1f}"
    yield f"neighbors: {folder / 'neighbors.png'}"
    yield f"report:    {run_folder.report}"


@contextlib.contextmanager
def _runs_unheard() -> Iterator[None]:
    """Keep back what the stages of single runs say, unless everything is wanted; the study says which run it is at."""
    package, studies = logging.getLogger("sjft_tf"), logging.getLogger("sjft_tf.studies")
    if package.level != logging.INFO:
        yield
        return
    package.setLevel(logging.WARNING)
    studies.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.setLevel(logging.INFO)
        studies.setLevel(logging.NOTSET)
