"""The command line: parse, call one function of `stages`, print. `--help` loads no TensorFlow."""

import contextlib
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from sjft_tf import config as configs
from sjft_tf.errors import InputError, Preempted
from sjft_tf.preemption import EXIT_CODE as PREEMPTED
from sjft_tf.preemption import preemptible
from sjft_tf.run_folder import RunFolder

if TYPE_CHECKING:
    from sjft_tf.stages import Run

PATH = click.Path(path_type=pathlib.Path)


def _loudness(function: Callable) -> Callable:
    """The options --quiet and --verbose, which go before a command's name or after it."""
    for name, help_text in (
        ("verbose", "Say also what the libraries underneath say."),
        ("quiet", "Say only what went wrong."),
    ):
        function = click.option(f"-{name[0]}", f"--{name}", is_flag=True, expose_value=False, callback=_set_loudness,
                                help=help_text)(function)  # fmt: skip
    return function


def _set_loudness(context: click.Context, option: click.Parameter, given: bool) -> None:
    said = context.meta.setdefault("sjft_tf.loudness", set())
    said.update({option.name} if given else set())
    if len(said) > 1:
        raise click.UsageError("--quiet and --verbose exclude each other")
    quiet, verbose = "quiet" in said, "verbose" in said
    # TensorFlow reads these when it is first imported, after this.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(format="%(message)s")
    logging.getLogger().setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("sjft_tf").setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sjft-tf")
@_loudness
def main() -> None:
    """Selective Joint Fine-tuning: train on few target images with the source images that resemble them.

    A stage first runs those it needs, and what a run folder holds already is not made again.
    """


def _stage_command(name: str, help_text: str) -> Callable:
    """A command that runs one stage, and what it needs first, on CONFIG in the folder --out."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        function = _loudness(function)
        function = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                                help="Replace one value of CONFIG; may be given several times.")(function)  # fmt: skip
        function = click.option("--out", required=True, type=PATH, help="Run folder; made if absent.")(function)
        function = click.argument("config", type=PATH)(function)
        return main.command(name, help=help_text)(function)

    return decorate


@_stage_command("run", "Run all stages on CONFIG. In order: describe, search, train, evaluate, export, report.")
def run_all(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """All stages."""
    with _open_run(config, out, overrides, workers=True) as run:
        from sjft_tf import stages

        metrics = stages.evaluate(run)
        stages.export(run)
        stages.report(run)
        click.echo(_metrics_table(metrics))
        click.echo(f"model:  {run.folder.export}\nreport: {run.folder.report}")


@_stage_command("describe", "Fit the bin edges of the descriptors on the target images.")
def describe(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Bin edges."""
    with _open_run(config, out, overrides) as run:
        from sjft_tf import stages

        edges = stages.describe(run)
        if edges is None:
            click.echo("pooled features have no bins; there is nothing to fit")
        else:
            click.echo(f"{run.folder.bin_edges}: {len(edges.lower)} channels of {edges.bins} bins")


@_stage_command("search", "Find the source neighbors of every target image.")
@click.option("--runner", metavar="RUNNER", help="Search on the workers of this Apache Beam runner: DirectRunner, "
              "FlinkRunner, SparkRunner, DataflowRunner.")  # fmt: skip
@click.option("--beam-option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the runner; may be given "
              "several times.")  # fmt: skip
def search(
    config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...], runner: str | None, options: tuple[str, ...]
) -> None:
    """Neighbor table."""
    with _open_run(config, out, overrides) as run:
        from sjft_tf import stages

        if options and runner is None:
            raise InputError(f"--beam-option {options[0]} goes with --runner")
        click.echo(stages.search(run, runner, options).summary())


@_stage_command("train", "Train all rounds that are not complete yet.")
def train(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Weights."""
    with _open_run(config, out, overrides, workers=True) as run:
        from sjft_tf import stages

        stages.train(run)
        click.echo(run.folder.weights(run.experiment.selection.rounds - 1))


@_stage_command("evaluate", "Measure every round's model on the test domain.")
def evaluate(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Metrics."""
    with _open_run(config, out, overrides) as run:
        from sjft_tf import stages

        click.echo(_metrics_table(stages.evaluate(run)))


@_stage_command("export", "Export the classifier for Keras and for TensorFlow Serving.")
def export(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Exported model."""
    with _open_run(config, out, overrides) as run:
        from sjft_tf import stages

        stages.export(run)
        click.echo(run.folder.export)


@_stage_command("report", "Write the report page.")
def report(config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Report page."""
    with _open_run(config, out, overrides) as run:
        from sjft_tf import stages

        stages.report(run)
        click.echo(run.folder.report)


@main.command()
@click.argument("config", type=PATH)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace one value of CONFIG.")
@_loudness
def show_config(config: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Print CONFIG with every default."""
    with _user_errors():
        click.echo(configs.to_yaml(configs.load_experiment(config, overrides)), nl=False)


@main.command()
@click.argument("config", type=PATH)
@click.option("--steps", default=20, show_default=True, type=click.IntRange(min=1),
              help="Steps of each measurement; fewer where they take over 30 s.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace one value of CONFIG.")
@_loudness
def profile(config: pathlib.Path, steps: int, overrides: tuple[str, ...]) -> None:
    """Measure where the time of a training step on CONFIG goes, and say what to change. No run folder is made."""
    with _user_errors():
        experiment = configs.load_experiment(config, overrides)
        from sjft_tf import stages

        found = stages.profile(experiment, steps=steps)
        click.echo("\n".join([*found.lines(), " ".join(stages.advice(found))]))


@main.command()
@click.argument("config", type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder of the run folders; made if absent.")
@click.option("--arms", default="none,random,selective", show_default=True, help="Selection modes to compare.")
@click.option("--seeds", default="0,1", show_default=True, help="One run of each arm with each seed.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace one value of CONFIG.")
@_loudness
def study(config: pathlib.Path, out: pathlib.Path, arms: str, seeds: str, overrides: tuple[str, ...]) -> None:
    """Compare selection modes on CONFIG. Each trains with several seeds, all from one neighbor table."""
    with _user_errors():
        experiment = configs.load_experiment(config, overrides)
        numbers = _numbers(seeds)
        from sjft_tf import stages

        for result in stages.study(experiment, out, arms.split(","), numbers):
            click.echo(result.row())


@main.command()
@click.option("--out", default="runs/demo", show_default=True, type=PATH, help="Folder of the run folders.")
@_loudness
def demo(out: pathlib.Path) -> None:
    """Run the main job on drawn images. Three arms with three seeds each, in about four minutes."""
    with _user_errors():
        from sjft_tf import stages

        for line in stages.demo(out):
            click.echo(line)


@main.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@click.option("--model", required=True, type=PATH, help="Run folder, its export/, or the folder of a fusion.")
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="Classes to print.")
@_loudness
def predict(images: tuple[pathlib.Path, ...], model: pathlib.Path, top: int) -> None:
    """Classify IMAGES with an exported model. The answers are those that a serving client gets."""
    with _user_errors():
        from sjft_tf import stages

        for image, answer in zip(images, stages.classify(model, images, top), strict=True):
            click.echo(f"{image}: {answer}")


@main.command()
@click.argument("run_folders", metavar="RUN...", nargs=-1, required=True, type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder of the fused model: new, empty, or an earlier fusion.")
@_loudness
def fuse(run_folders: tuple[pathlib.Path, ...], out: pathlib.Path) -> None:
    """Fuse trained models into one: of all rounds of one RUN, or of the last rounds of several.

    It answers with the mean of their probabilities, and is exported like any model.
    """
    with _user_errors():
        from sjft_tf import stages

        click.echo(_fusion_table(stages.fuse([RunFolder(path) for path in run_folders], out)))
        click.echo(f"model: {out}")


@main.command()
@click.argument("run_folder", metavar="RUN", type=PATH)
@click.argument("target_id")
@click.option("--image", "picture", type=PATH, help="Draw the 1st, 10th, 20th, 30th and 40th into this PNG.")
@_loudness
def neighbors(run_folder: pathlib.Path, target_id: str, picture: pathlib.Path | None) -> None:
    """Show the neighbors of one target image. RUN is a run folder, TARGET_ID the path of the image in the target."""
    folder = RunFolder(run_folder)
    with _user_errors(), folder.locked(make=False):
        experiment = configs.load_experiment(folder.config)
        from sjft_tf import stages

        run = stages.Run(experiment, folder)
        for rank, name, label, divergence in stages.nearest(run, target_id):
            click.echo(f"{rank:3d}  {divergence:8.4f}  {label}  {name}")
        if picture is not None:
            stages.draw_neighbors(run, [target_id], picture)
            click.echo(picture)


@contextlib.contextmanager
def _open_run(
    config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...], *, workers: bool = False
) -> Iterator["Run"]:
    """The run, its folder locked. With `workers`, one who is not the chief of a cluster trains along, and that is all."""
    with _user_errors(workers=workers):
        experiment = configs.load_experiment(config, overrides)
        folder = RunFolder(out)
        from sjft_tf import stages
        from sjft_tf.training import devices

        devices.strategy()  # before TensorFlow computes anything
        if not devices.is_chief():
            devices.meet()  # when the chief has prepared the folder
            stages.train(stages.Run(experiment, folder))
            sys.exit(0)
        with folder.locked():
            run = stages.Run(experiment, folder)
            run.prepare()
            yield run


@contextlib.contextmanager
def _user_errors(*, workers: bool = False) -> Iterator[None]:
    """What a user can cause becomes one line on stderr and exit code 2; Ctrl-C, exit code 130; SIGTERM, 75.

    Without `workers` the command is one process's, also where TF_CONFIG names several.
    """
    if not workers:
        os.environ.pop("TF_CONFIG", None)
    try:
        with preemptible():
            yield
    except InputError as error:
        click.echo(f"sjft-tf: {error}", err=True)
        sys.exit(2)
    except Preempted as reason:
        click.echo(f"sjft-tf: {reason}; the same command goes on from here", err=True)
        sys.exit(PREEMPTED)
    except KeyboardInterrupt:
        click.echo("sjft-tf: stopped; the same command goes on from here", err=True)
        sys.exit(130)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--seeds is {text!r}; it must be whole numbers with commas between") from None


def _metrics_table(metrics: dict) -> str:
    if metrics["test"] is None:
        return "no test domain, so no accuracy"
    lines = [f"test: {metrics['test']['domain']}, {metrics['test']['n']} images"]
    for entry in metrics["test"]["rounds"]:
        lines.append(
            f"round {entry['round'] + 1}: mean class accuracy {entry['mean_class_accuracy']:.1%}, "
            f"accuracy {entry['accuracy']:.1%}"
        )
    return "\n".join(lines)


def _fusion_table(fusion: dict) -> str:
    members = fusion["members"]
    if fusion["test"] is None:
        return f"fusion of {len(members)} models; no test domain common to all, so no accuracy"
    rows = [(f"{entry['run']}, round {entry['round'] + 1}", entry) for entry in members]
    rows.append((f"fusion of {len(members)}", fusion["test"]["final"]))
    lines = [
        f"{name}: mean class accuracy {entry['mean_class_accuracy']:.1%}, accuracy {entry['accuracy']:.1%}"
        for name, entry in rows
    ]
    return "\n".join([f"test: {fusion['test']['domain']}, {fusion['test']['n']} images", *lines])


if __name__ == "__main__":
    main()
