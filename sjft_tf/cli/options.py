"""Options that several commands have."""

import logging
import os
import pathlib
from collections.abc import Callable
from typing import TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable)
PATH = click.Path(path_type=pathlib.Path)
config_argument = click.argument("config", type=PATH)
overrides_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Replace one value of CONFIG; may be given several times.",
)  # fmt: skip


def loudness(function: Decorated) -> Decorated:
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
