"""The main job on synthetic images: a study of three arms with three seeds, a picture of neighbors, and its page."""

import importlib.resources
import os
import pathlib
from collections.abc import Iterable, Iterator

from sjft_tf.config import Study, load_study
from sjft_tf.reporting import study_text
from sjft_tf.reporting.drawing import spread
from sjft_tf.studies.plan import run_path
from sjft_tf.studies.study import run_study

SELECTIVE, SHOWN = "selective", 6


def demo_study(overrides: Iterable[str] = ()) -> Study:
    """The study that the demo runs; `overrides` as in `load_study`."""
    with importlib.resources.as_file(importlib.resources.files("sjft_tf.studies")) as folder:
        return load_study(folder / "demo-study.yaml", overrides)


def demo(folder: pathlib.Path) -> Iterator[str]:
    """Run the embedded study, a cell a core; the lines to print come back as they are ready.

    Args:
        folder: the study's; a second start resumes from what is there.
    """
    study = demo_study()
    data, failures = run_study(study, folder, jobs=os.cpu_count() or 1)
    yield study_text(data)
    if not failures:
        yield f"neighbors: {_picture(study, folder)}"
    yield f"page:      {folder / 'study.html'}"


def _picture(study: Study, folder: pathlib.Path) -> pathlib.Path:
    """Draw some target images beside their neighbors."""
    from sjft_tf import pipeline  # here, because nothing else of a study needs TensorFlow in this process
    from sjft_tf.stages.gallery import draw_neighbors
    from sjft_tf.workspace import RunFolder, Workspace

    seed, picture = study.config.seeds[0], folder / "neighbors.png"
    run_folder = RunFolder(folder / run_path(SELECTIVE, seed))
    if not picture.exists():
        with run_folder.locked(make=False):
            workspace = Workspace(study.experiment(SELECTIVE, seed, {}), run_folder)
            neighbors = pipeline.run(workspace, until="search").neighbors
            assert neighbors is not None  # the arm has a table
            ids = [workspace.target.ids[i] for i in spread(len(workspace.target), SHOWN)]
            draw_neighbors(workspace, neighbors.table, ids, picture)
    return picture
