"""The commands around runs: what a config means, studies and the demo, and what to do with a trained model."""

import pathlib
import sys

import click

from sjft_tf.cli.running import PATH, config_argument, loudness, overrides_option, user_errors
from sjft_tf.cli.tables import fusion_table
from sjft_tf.errors import InputError
from sjft_tf.preemption import end_with_parent


@click.command()
@config_argument
@overrides_option
@loudness
def show_config(config: pathlib.Path, overrides: tuple[str, ...]) -> None:
    """Print CONFIG with every default."""
    with user_errors():
        from sjft_tf.config import load_experiment, to_yaml

        click.echo(to_yaml(load_experiment(config, overrides)), nl=False)


@click.command()
def schema() -> None:
    """Print the JSON Schema of CONFIG, by which editors complete and check it."""
    from sjft_tf.config import json_schema

    click.echo(json_schema(), nl=False)


@click.command()
@click.argument("name", required=False)
@loudness
def datasets(name: str | None) -> None:
    """Print size, licence, source and config lines of known data sets, or of the one called NAME."""
    with user_errors():
        from sjft_tf.cli.known_data import DATA_SETS

        known = {item.name: item for item in DATA_SETS}
        if name is not None and name not in known:
            raise InputError(f"data set {name!r} is none of {', '.join(known)}")
        click.echo("\n\n".join(item.text() for item in ([known[name]] if name else DATA_SETS)))


@click.command()
@config_argument
@click.option("--steps", default=20, show_default=True, type=click.IntRange(min=1),
              help="Steps of each measurement; fewer where they take over 30 s.")  # fmt: skip
@overrides_option
@loudness
def profile(config: pathlib.Path, steps: int, overrides: tuple[str, ...]) -> None:
    """Measure where the time of a training step on CONFIG goes, and say what to change. No run folder is made."""
    with user_errors():
        from sjft_tf.config import load_experiment

        experiment = load_experiment(config, overrides)
        from sjft_tf.stages import profile

        found = profile.profile(experiment, steps=steps)
        click.echo("\n".join([*found.lines(), profile.advice(found)]))


@click.command()
@click.argument("study_file", metavar="STUDY", type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder of the study; made if absent.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Runs at a time.")
@click.option("--only", multiple=True, metavar="arm=NAME,seed=N",
              help="Make this run again, and no others; may be given several times.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Replace one value of STUDY, or as base.KEY of its base; may be given several times.")  # fmt: skip
@loudness
def study(
    study_file: pathlib.Path, out: pathlib.Path, jobs: int, only: tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    """Compare the arms of STUDY, each trained with several seeds. What is finished in --out stays."""
    with user_errors():
        from sjft_tf import studies
        from sjft_tf.config import load_study
        from sjft_tf.reporting import study_text

        data, failures = studies.run_study(load_study(study_file, overrides), out, jobs=jobs, only=only)
        click.echo(study_text(data))
        click.echo(f"page: {out / 'study.html'}")
        sys.exit(1 if failures else 0)


@click.command(hidden=True)
@config_argument
@click.option("--out", required=True, type=PATH, help="Run folder.")
@click.option("--kind", required=True, type=click.Choice(["search", "trial", "run"]), help="How far to go.")
@click.option("--shared", required=True, type=PATH, help="Folder of what runs have in common.")
@loudness
def cell(config: pathlib.Path, out: pathlib.Path, kind: str, shared: pathlib.Path) -> None:
    """Make one cell of a study; a study starts this, and when it ends, so does this."""
    with user_errors():
        end_with_parent()
        from sjft_tf.config import load_experiment
        from sjft_tf.studies import cells
        from sjft_tf.workspace import RunFolder

        cells.make(kind, load_experiment(config), RunFolder(out, shared=shared))  # type: ignore[arg-type]


@click.command()
@click.option("--out", default="runs/demo", show_default=True, type=PATH, help="Folder of the study.")
@loudness
def demo(out: pathlib.Path) -> None:
    """Run the main job on synthetic images, as a study of three arms with three seeds each, in minutes."""
    with user_errors():
        from sjft_tf import studies

        for line in studies.demo(out):
            click.echo(line)


@click.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@click.option("--model", required=True, type=PATH, help="Run folder, its export/, or the folder of a fusion.")
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="Classes to print.")
@loudness
def predict(images: tuple[pathlib.Path, ...], model: pathlib.Path, top: int) -> None:
    """Classify IMAGES with an exported model. The answers are those that a serving client gets."""
    with user_errors():
        from sjft_tf.serving import classify

        for image, answer in zip(images, classify(model, images, top), strict=True):
            click.echo(f"{image}: {answer}")


@click.command()
@click.argument("run_folders", metavar="RUN...", nargs=-1, required=True, type=PATH)
@click.option("--out", required=True, type=PATH, help="Folder of the fused model: new, empty, or an earlier fusion.")
@loudness
def fuse(run_folders: tuple[pathlib.Path, ...], out: pathlib.Path) -> None:
    """Fuse trained models into one: of all rounds of one RUN, or of the last rounds of several.

    It answers with the mean of their probabilities, and is exported like any model.
    """
    with user_errors():
        from sjft_tf.stages import fuse
        from sjft_tf.workspace import RunFolder

        click.echo(fusion_table(fuse.fuse([RunFolder(path) for path in run_folders], out)))
        click.echo(f"model: {out}")


@click.command()
@click.argument("run_folder", metavar="RUN", type=PATH)
@click.argument("target_id")
@click.option("--image", "picture", type=PATH, help="Draw the 1st, 10th, 20th, 30th and 40th into this PNG.")
@loudness
def neighbors(run_folder: pathlib.Path, target_id: str, picture: pathlib.Path | None) -> None:
    """Show the neighbors of one target image. RUN is a run folder, TARGET_ID the path of the image in the target."""
    with user_errors():
        from sjft_tf import pipeline
        from sjft_tf.config import load_experiment
        from sjft_tf.stages.gallery import draw_neighbors, nearest
        from sjft_tf.workspace import RunFolder, Workspace

        folder = RunFolder(run_folder)
        with folder.locked(make=False):
            workspace = Workspace(load_experiment(folder.config), folder)
            found = pipeline.run(workspace, until="search").neighbors
            assert found is not None  # `search` was run
            for rank, name, label, divergence in nearest(workspace, found.table, target_id):
                click.echo(f"{rank:3d}  {divergence:8.4f}  {label}  {name}")
            if picture is not None:
                draw_neighbors(workspace, found.table, [target_id], picture)
                click.echo(picture)


COMMANDS = (show_config, schema, datasets, profile, study, cell, demo, predict, fuse, neighbors)
