"""What surrounds every command: the exit codes of what can go wrong."""

import contextlib
import os
import sys
from collections.abc import Iterator

import click

from sjft_tf.errors import InputError, Preempted
from sjft_tf.preemption import EXIT_CODE, preemptible


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
    except KeyboardInterrupt as reason:
        click.echo(f"sjft-tf: {str(reason) or 'stopped'}; the same command resumes from here", err=True)
        sys.exit(EXIT_CODE if isinstance(reason, Preempted) else 130)
