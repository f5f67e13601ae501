"""What class folders and tables of image files have in common."""

import difflib
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from sjft_tf.domains.checking import check_files
from sjft_tf.domains.domain import Rejected
from sjft_tf.errors import InputError
from sjft_tf.files import digest
from sjft_tf.progress import Progress

_logger = logging.getLogger(__name__)


class ImageFiles:
    """A labelled collection of image files, each checked once; see `Domain` for the attributes.

    Args:
        source: the folder or table that the collection was read from, for messages and for its name.
        root: the folder to which ids are relative.
        listed: class name by id.
        found: the classes that are there; each must turn out to have an image.
        class_names: the label space; `found`, if None.
        cache: see `check_files`.
        progress: see `check_files`.

    Raises:
        InputError: a class is not in `class_names` or has no usable image, or fewer than two images are usable.
    """

    def __init__(
        self,
        source: pathlib.Path,
        root: pathlib.Path,
        listed: Mapping[str, str],
        *,
        found: Sequence[str],
        class_names: Sequence[str] | None,
        cache: str | os.PathLike | None,
        progress: Progress | None,
    ) -> None:
        _require_known(source, found, found if class_names is None else class_names)
        ids = sorted(listed)
        checked = check_files(root, ids, cache=cache, progress=progress)
        kept = [(name, file) for name, file in zip(ids, checked, strict=True) if not file.reason]
        self._root = root
        self.name = "/".join(source.resolve().parts[-2:])
        self.rejected = tuple(
            Rejected(_printable(name), file.reason) for name, file in zip(ids, checked, strict=True) if file.reason
        )
        self.class_names = tuple(found if class_names is None else class_names)
        self.ids = tuple(name for name, _ in kept)
        numbers = {name: number for number, name in enumerate(self.class_names)}
        self.labels = np.array([numbers[listed[name]] for name in self.ids], np.int32)
        self._hashes = np.array([file.hash for _, file in kept], np.uint64)
        self._require_images(source, found)
        if self.rejected:
            first = self.rejected[0]
            _logger.warning("%s: %d files left out, e.g. %s: %s", source, len(self.rejected), first.id, first.reason)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The files at `indices`, in that order.

        Raises:
            InputError: a file has gone since the collection was indexed.
        """
        return [self._read(self.ids[index]) for index in np.asarray(indices).tolist()]

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and the bytes of all files; the same wherever they lie."""
        return digest(list(self.ids), self.labels, list(self.class_names), self._hashes)

    def _read(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise InputError(f"{self._root / name} was there when it was indexed: {error.strerror}") from error

    def _require_images(self, source: pathlib.Path, found: Sequence[str]) -> None:
        if not self.ids and self.rejected:
            first = self.rejected[0]
            raise InputError(
                f"{source}: none of its {len(self.rejected)} files can be used; {first.id}: {first.reason}"
            )
        present = {self.class_names[label] for label in np.unique(self.labels)}
        for name in found:
            if name not in present:
                raise InputError(f"{source}: class {name!r} has no usable image; add some or remove the class")
        if len(self.ids) < 2:
            raise InputError(f"{source} holds {len(self.ids)} usable image; at least 2 are needed")


def _printable(name: str) -> str:
    """`name`, with escapes for bytes that are not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _require_known(source: pathlib.Path, found: Sequence[str], class_names: Sequence[str]) -> None:
    if len(set(class_names)) < len(class_names):
        raise InputError(f"{source}: the given class names hold one twice")
    for name in found:
        if name not in class_names:
            nearest = difflib.get_close_matches(name, class_names, 1)
            hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
            raise InputError(f"{source}: class {name!r} is not among the {len(class_names)} given class names{hint}")
