"""The main job on images drawn in code: three arms, three seeds, a picture of neighbors and a report."""

import importlib.resources
import pathlib
from collections.abc import Iterator

from sjft_tf.config import Experiment, parse_experiment
from sjft_tf.stages.report import draw_neighbors, report, spread_positions
from sjft_tf.stages.run import Run
from sjft_tf.stages.study import arm, arm_folder, study

MODES = ("none", "random", "selective")
SEEDS = (0, 1, 2)
ROWS = 6


def demo_experiment() -> Experiment:
    """The experiment that the demo runs in three arms."""
    config = importlib.resources.files("sjft_tf.stages") / "demo.yaml"
    return parse_experiment(config.read_text(), name="the demo's config")


def demo(folder: pathlib.Path) -> Iterator[str]:
    """Run the study of the embedded experiment; the lines to print come back as they are ready.

    Args:
        folder: where the run folders go; a second start goes on from what is there.
    """
    experiment = demo_experiment()
    results = study(experiment, folder, MODES, SEEDS)
    yield "test images, mean class accuracy in percent: mean ± half the range over seeds"
    for result in results:
        yield result.row()
    run = Run(arm(experiment, "selective", SEEDS[0]), arm_folder(folder, "selective", SEEDS[0]))
    with run.folder.locked():
        picture = folder / "neighbors.png"
        draw_neighbors(run, [run.target.ids[i] for i in spread_positions(len(run.target), ROWS)], picture)
        report(run)
    yield f"neighbors: {picture}"
    yield f"report:    {run.folder.report}"
