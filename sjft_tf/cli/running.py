"""What surrounds every command: its options, and the exit codes of what can go wrong."""

import contextlib
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import click

from sjft_tf.errors import InputError, Preempted
from sjft_tf.preemption import EXIT_CODE, preemptible

PATH = click.Path(path_type=pathlib.Path)
config_argument = click.argument("config", type=PATH)
overrides_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Replace one value of CONFIG; may be given several times.",
)  # fmt: skip


def loudness(function: Callable) -> Callable:
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
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # TensorFlow reads it when it is first imported, after this
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(format="%(message)s")
    logging.getLogger().setLevel(logging.INFO if verbose else logging.WARNING)
    if not verbose:  # it warns of graphs traced again, as for each model of a study
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("sjft_tf").setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)


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
