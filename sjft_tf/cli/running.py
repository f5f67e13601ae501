"""What surrounds every command: the locked run folder, and the exit codes of what can go wrong."""

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sjft_tf.errors import InputError, Preempted
from sjft_tf.preemption import EXIT_CODE as PREEMPTED
from sjft_tf.preemption import preemptible

if TYPE_CHECKING:
    from sjft_tf.workspace import Workspace


@contextlib.contextmanager
def opened_workspace(
    config: pathlib.Path, out: pathlib.Path, overrides: tuple[str, ...], *, workers: bool = False
) -> Iterator["Workspace"]:
    """The workspace of a run, its folder locked and prepared.

    With `workers`, a process that is not the chief of a cluster trains along, and ends.
    """
    with user_errors(workers=workers):
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
            sys.exit(0)
        with folder.locked():
            workspace = Workspace(experiment, folder)
            pipeline.prepare(workspace)
            yield workspace


@contextlib.contextmanager
def user_errors(*, workers: bool = False) -> Iterator[None]:
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
        click.echo(f"sjft-tf: {reason}; the same command resumes from here", err=True)
        sys.exit(PREEMPTED)
    except KeyboardInterrupt:
        click.echo("sjft-tf: stopped; the same command resumes from here", err=True)
        sys.exit(130)
