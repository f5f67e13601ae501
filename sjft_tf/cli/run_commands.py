"""The commands on one run folder: all stages, or one with what it needs first."""

import pathlib
from collections.abc import Callable
from typing import Any

import click

from sjft_tf.cli.options import PATH, config_argument, loudness, overrides_option
from sjft_tf.cli.running import opened_workspace
from sjft_tf.cli.tables import metrics_table
from sjft_tf.errors import InputError


def _stage_command(name: str, help_text: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command that runs one stage, and what it needs first, on CONFIG in the folder --out."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        function = overrides_option(loudness(function))
        function = click.option("--out", required=True, type=PATH, help="Run folder; made if absent.")(function)
        return click.command(name, help=help_text)(config_argument(function))

    return decorate


@_stage_command("run", "Run all stages on CONFIG. In order: describe, search, train, evaluate, export, report.")
def run_all(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """All stages."""
    with opened_workspace(config, out, overrides, workers=True) as workspace:
        from sjft_tf import pipeline

        evaluation = pipeline.run(workspace).evaluation
        click.echo(metrics_table(evaluation.metrics if evaluation is not None else {"test": None}))
        click.echo(f"model:  {workspace.folder.export}\nreport: {workspace.folder.report}")


@_stage_command("describe", "Fit the bin edges of the descriptors on the target images.")
def describe(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Bin edges."""
    with opened_workspace(config, out, overrides) as workspace:
        from sjft_tf import pipeline

        description = pipeline.run(workspace, until="describe").description
        edges = description.edges if description is not None else None
        if edges is None:
            click.echo("pooled features have no bins; there is nothing to fit")
        else:
            click.echo(f"{workspace.folder.bin_edges}: {len(edges.lower)} channels of {edges.bins} bins")


@_stage_command("search", "Find the source neighbors of every target image.")
@click.option("--runner", metavar="RUNNER", help="Search on the workers of this Apache Beam runner: DirectRunner, "
              "FlinkRunner, SparkRunner, DataflowRunner.")  # fmt: skip
@click.option("--beam-option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the runner; may be given "
              "several times.")  # fmt: skip
def search(
    config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...], runner: str | None, options: tuple[str, ...]
) -> None:
    """Neighbor table."""
    with opened_workspace(config, out, overrides) as workspace:
        from sjft_tf import pipeline

        if options and runner is None:
            raise InputError(f"--beam-option {options[0]} goes with --runner")
        neighbors = pipeline.run(workspace, until="search", runner=runner, beam_options=options).neighbors
        click.echo(neighbors.table.summary() if neighbors is not None else "")


@_stage_command("train", "Train all rounds that are not complete yet.")
def train(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Weights."""
    with opened_workspace(config, out, overrides, workers=True) as workspace:
        from sjft_tf import pipeline

        pipeline.run(workspace, until="train")
        click.echo(workspace.folder.weights(workspace.experiment.selection.rounds - 1))


@_stage_command("evaluate", "Measure every round's model on the test domain.")
def evaluate(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Metrics."""
    with opened_workspace(config, out, overrides) as workspace:
        from sjft_tf import pipeline

        evaluation = pipeline.run(workspace, until="evaluate").evaluation
        click.echo(metrics_table(evaluation.metrics if evaluation is not None else {"test": None}))


@_stage_command("export", "Export the classifier for Keras and for TensorFlow Serving.")
def export(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Exported model."""
    with opened_workspace(config, out, overrides) as workspace:
        from sjft_tf import pipeline

        pipeline.run(workspace, until="export")
        click.echo(workspace.folder.export)


@_stage_command("report", "Write the report page.")
def report(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Report page."""
    with opened_workspace(config, out, overrides) as workspace:
        from sjft_tf import pipeline

        pipeline.run(workspace, until="report")
        click.echo(workspace.folder.report)


COMMANDS = (run_all, describe, search, train, evaluate, export, report)
