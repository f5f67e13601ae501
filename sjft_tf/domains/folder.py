"""Image collections laid out as one folder a class."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from sjft_tf.domains.domain import Rejected
from sjft_tf.errors import InputError
from sjft_tf.files import digest

SUFFIXES = (".bmp", ".gif", ".jpe", ".jpeg", ".jpg", ".png")


class ImageFolder:
    """A folder of class folders."""

    def __init__(self, path: str | os.PathLike, *, class_names: Sequence[str] | None = None, cache=None):
        root = pathlib.Path(path)
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; give a folder that holds one folder per class")
        found = sorted(child.name for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
        self.name = "/".join(root.resolve().parts[-2:])
        self.class_names = tuple(found if class_names is None else class_names)
        numbers = {name: number for number, name in enumerate(self.class_names)}
        paths = sorted(
            p.relative_to(root).as_posix() for c in found for p in (root / c).rglob("*") if p.suffix.lower() in SUFFIXES
        )
        self._root = root
        self.ids = tuple(paths)
        self.labels = np.array([numbers[i.split("/")[0]] for i in paths], np.int32)
        self.rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The encoded bytes of the images at `indices`."""
        return [(self._root / self.ids[i]).read_bytes() for i in indices]

    def fingerprint(self) -> str:
        """A hash."""
        return digest(list(self.ids), self.labels, list(self.class_names))
