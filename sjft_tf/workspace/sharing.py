"""Artifacts that several run folders have in common, kept once by the hash of what they were made from.

A shared artifact is a hard link, or a copy on another file system. Artifacts are replaced by rename, never written in
place, so that who makes one anew changes nobody else's.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator

from sjft_tf import files


class Sharing:
    """A store of artifacts, `STORE/HASH/NAME`; without a folder nothing is shared.

    Args:
        folder: of the store; made when something is first given.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = None if folder is None else pathlib.Path(folder)

    def take(self, path: pathlib.Path, made_from: str) -> None:
        """Put what the store has of that name and hash in the place of `path`, if it has it."""
        held = self.folder(made_from)
        if held is not None and (held / path.name).exists():
            _link(held / path.name, path)

    def give(self, path: pathlib.Path, made_from: str) -> None:
        """Keep what lies at `path`, if anything does."""
        held = self.folder(made_from)
        if held is not None and path.exists():
            _link(path, held / path.name)

    @contextlib.contextmanager
    def awaited(self, made_from: Iterable[str]) -> Iterator[None]:
        """Of several processes that lack the same, one makes it inside, while the others wait, and find it then."""
        with contextlib.ExitStack() as held:
            for name in sorted(set(made_from)):  # in one order, or two could wait for each other
                folder = self.folder(name)
                if folder is not None and not folder.exists():
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    lock = held.enter_context(open(folder.with_name(f".{name}.lock"), "a"))
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def folder(self, made_from: str) -> pathlib.Path | None:
        """Where the store keeps what was made from that; None without a store."""
        return None if self._folder is None else self._folder / made_from


def _link(source: pathlib.Path, path: pathlib.Path) -> None:
    if path.exists() and path.samefile(source):
        return
    with files.replacing_path(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)
