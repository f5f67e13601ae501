"""The commands on one run folder: all stages, or one with what it needs first."""

import pathlib
from collections.abc import Callable
from typing import Any

import click

from sjft_tf.cli.running import PATH, config_argument, loudness, overrides_option, user_errors
from sjft_tf.cli.tables import metrics_table
from sjft_tf.errors import InputError


def _edges_line(path: pathlib.Path, edges: Any) -> str:
    """What bin edges there are in the file; None: images are described without."""
    if edges is None:
        return "pooled features have no bins; there is nothing to fit"
    return f"{path}: {len(edges.lower)} channels of {edges.bins} bins"


# help, and what is printed, of the run folder's paths and the stages' results
_STAGES: dict[str, tuple[str, Callable[[Any, Any], object]]] = {
    "describe": (
        "Fit the bin edges of the descriptors on the target images.",
        lambda paths, results: _edges_line(paths.bin_edges, results.description.edges),
    ),
    "search": (
        "Find the source neighbors of every target image.", lambda _, results: results.neighbors.table.summary(),
    ),
    "train": (
        "Train all rounds that are not complete yet.",
        lambda paths, results: paths.weights(len(results.rounds.history) - 1),
    ),
    "evaluate": (
        "Measure every round's model on the test domain.",
        lambda _, results: metrics_table(results.evaluation.metrics),
    ),
    "export": ("Export the classifier for Keras and for TensorFlow Serving.", lambda paths, _: paths.export),
    "report": ("Write the report page.", lambda paths, _: paths.report),
    "run": (
        "Run all stages on CONFIG. In order: describe, search, train, evaluate, export, report.",
        lambda paths, results: f"{metrics_table(results.evaluation.metrics)}\n"
        f"model:  {paths.export}\nreport: {paths.report}",
    ),
}  # fmt: skip
_OF_SEARCH = (
    click.Option(["--runner"], metavar="RUNNER", help="Search on the workers of this Apache Beam runner: DirectRunner, "
                 "FlinkRunner, SparkRunner, DataflowRunner."),
    click.Option(["--beam-option", "beam_options"], multiple=True, metavar="KEY=VALUE", help="Option of the runner; "
                 "may be given several times."),
)  # fmt: skip


def _stage_command(name: str) -> click.Command:
    """A command that runs one stage, and what it needs first, on CONFIG in the folder --out.

    In a cluster, a process that is not the chief trains along, and ends.
    """
    help_text, said = _STAGES[name]

    @click.command(name, help=help_text, params=[*_OF_SEARCH] if name == "search" else [])
    @config_argument
    @click.option("--out", required=True, type=PATH, help="Run folder; made if absent.")
    @overrides_option
    @loudness
    def command(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...], **of_search: Any) -> None:
        with user_errors(workers=name in ("run", "train")):
            if of_search.get("beam_options") and of_search["runner"] is None:
                raise InputError(f"--beam-option {of_search['beam_options'][0]} goes with --runner")
            from sjft_tf.config import load_experiment

            experiment = load_experiment(config, overrides)
            from sjft_tf import pipeline
            from sjft_tf.training import devices
            from sjft_tf.workspace import RunFolder, Workspace

            folder = RunFolder(out)
            devices.strategy()  # before TensorFlow computes anything
            if not devices.is_chief():
                devices.meet()  # when the chief has prepared the folder
                pipeline.run(Workspace(experiment, folder), until="train")
                return
            with folder.locked():
                workspace = Workspace(experiment, folder)
                pipeline.prepare(workspace)
                results = pipeline.run(workspace, "report" if name == "run" else name, **of_search)
                click.echo(said(folder, results))

    return command


COMMANDS = tuple(_stage_command(name) for name in _STAGES)
