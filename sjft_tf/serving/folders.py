"""Publishing several files and folders so that a killed process leaves none of them half-written.

Everything is first written to a staging folder inside the destination, flushed, and then moved by rename. A file is
replaced in one step; a folder in two, so that for an instant there is neither the old nor the new one, never a part of
one. What a killed process left in its staging folder is deleted by the next one.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

PREFIX = ".staging-"


@contextlib.contextmanager
def staging(destination: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty folder inside `destination` (made if absent), deleted at the end; one process at a time may use it."""
    destination.mkdir(parents=True, exist_ok=True)
    for leftover in destination.glob(f"{PREFIX}*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(dir=destination, prefix=PREFIX) as folder:
        yield pathlib.Path(folder)


def flush(folder: pathlib.Path) -> None:
    """Have the operating system write all files of `folder` to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


def replace_folder(new: pathlib.Path, path: pathlib.Path) -> None:
    """Move the folder `new` to `path`; what was there goes to the place of `new`, with `.replaced` added."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        os.rename(path, new.with_name(f"{new.name}.replaced"))
    os.rename(new, path)
