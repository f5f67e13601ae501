"""The command line: parse, call one function, print. `--help` loads neither TensorFlow nor NumPy."""

import click

from sjft_tf.cli import commands, run_commands
from sjft_tf.cli.running import loudness


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sjft-tf")
@loudness
def main() -> None:
    """Selective Joint Fine-tuning: train on few target images with the source images that resemble them.

    A stage first runs those it needs, and what a run folder holds already is not recomputed.
    """


for command in (*run_commands.COMMANDS, *commands.COMMANDS):
    main.add_command(command)
