"""Programs in processes of their own, forked from one that has imported TensorFlow and Keras, and nothing of ours.

The import takes longer than most of the programs. TensorFlow survives a fork as long as it has computed nothing.
"""

import multiprocessing
import pathlib

import pytest

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tensorflow", "keras"])
_BEGINNING = """
import os, sys
os.chdir(folder)
os.environ.update(environment)
for descriptor, name in enumerate(("stdout", "stderr"), start=1):
    os.dup2(os.open(os.path.join(kept, name), os.O_WRONLY | os.O_CREAT), descriptor)
sys.argv[:] = arguments
exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
"""


class Forked:
    """A program under way.

    Args:
        program: its text.
        arguments: what it finds in `sys.argv[1:]`.
        kept: an empty folder for what it prints.
        folder: where it runs.
        environment: variables that it finds beside those of the tests.
    """

    def __init__(self, program: str, arguments: tuple, *, kept: pathlib.Path, folder: pathlib.Path, environment: dict):
        self._kept = kept
        given = {
            "program": program, "arguments": ["program", *map(str, arguments)], "kept": str(kept),
            "folder": str(folder), "environment": environment,
        }  # fmt: skip
        self.process = _CONTEXT.Process(target=exec, args=(_BEGINNING, given))
        self.process.start()

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, the negative of a signal that ended it; None if it is not done by then."""
        self.process.join(timeout)
        return self.process.exitcode

    def stop(self) -> None:
        """Kill it, if it is not done."""
        self.process.kill()
        self.process.join()

    @property
    def output(self) -> str:
        """What it printed."""
        return (self._kept / "stdout").read_text()

    @property
    def errors(self) -> str:
        """What it printed to stderr."""
        return (self._kept / "stderr").read_text()


@pytest.fixture(scope="session")
def forked(tmp_path_factory):
    """`forked(program, *arguments, folder=None, **environment) -> Forked`."""
    started = []

    def start(program: str, *arguments, folder: pathlib.Path | None = None, **environment: str) -> Forked:
        kept = tmp_path_factory.mktemp("forked")
        started.append(Forked(program, arguments, kept=kept, folder=folder or kept, environment=environment))
        return started[-1]

    yield start
    for program in started:
        program.stop()
