"""What collections have in common whose images are decoded once, when they are indexed."""

import difflib
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from sjft_tf.domains.checking import check_files
from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.errors import InputError
from sjft_tf.files import digest
from sjft_tf.progress import Progress

_logger = logging.getLogger(__name__)


def numbered(source: object, found: Sequence[str], class_names: Sequence[str] | None) -> dict[str, int]:
    """The label space: `class_names`, or `found` where there are none, each with its number.

    Raises:
        InputError: a class that was found in `source` is not in `class_names`, or these hold one twice.
    """
    numbers = {name: number for number, name in enumerate(found if class_names is None else class_names)}
    if class_names is not None and len(numbers) < len(class_names):
        raise InputError(f"{source}: the given class names hold one twice")
    for name in found:
        if name not in numbers:
            nearest = difflib.get_close_matches(name, numbers, 1)
            hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
            raise InputError(f"{source}: class {name!r} is not among the {len(numbers)} given class names{hint}")
    return numbers


class LabeledImages(Domain):
    """A labeled collection whose broken images are left out; see `Domain` for the attributes.

    Args:
        source: the folder, table or files that it was read from, for messages and for its name.
        listed: class name by id, in the order of ids.
        found: the classes that are there; each must turn out to have an image.
        numbers: the label space, see `numbered`.
        hashes: of the bytes of each image listed.
        reasons: why each is no use; empty for those that are.

    Raises:
        InputError: a class has no usable image, or fewer than two images are usable.
    """

    def __init__(
        self,
        source: pathlib.Path,
        listed: Mapping[str, str],
        *,
        found: Sequence[str],
        numbers: Mapping[str, int],
        hashes: np.ndarray,
        reasons: Sequence[str],
    ) -> None:
        checked = [(name, str(reason)) for name, reason in zip(listed, reasons, strict=True)]
        self.name = "/".join(source.resolve().parts[-2:])
        self.class_names = tuple(numbers)
        self.ids = tuple(name for name, reason in checked if not reason)
        self.labels = np.array([numbers[listed[name]] for name in self.ids], np.int32)
        self.rejected = tuple(Rejected(_printable(name), reason) for name, reason in checked if reason)
        self._hashes = hashes[[not reason for _, reason in checked]]
        first = f"{self.rejected[0].id}: {self.rejected[0].reason}" if self.rejected else ""
        if not self.ids and self.rejected:
            raise InputError(f"{source}: none of its {len(self.rejected)} images can be used; {first}")
        present = {self.class_names[label] for label in np.unique(self.labels)}
        for name in found:
            if name not in present:
                raise InputError(f"{source}: class {name!r} has no usable image; add some or remove the class")
        if len(self.ids) < 2:
            raise InputError(f"{source} holds {len(self.ids)} usable image; at least 2 are needed")
        if n := len(self.rejected):
            _logger.warning("%s: %d image%s left out, e.g. %s", source, n, "s" * (n > 1), first)

    def fingerprint(self) -> str:
        """A hash of ids, labels, class names and the bytes of all images; the same wherever they lie."""
        return digest(list(self.ids), self.labels, list(self.class_names), self._hashes)


class ImageFiles(LabeledImages):
    """Image files below the folder `root`; `listed` may be in any order, `class_names` as in `numbered`.

    Raises:
        InputError: a class is not in `class_names`, or as for `LabeledImages`.
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
        numbers = numbered(source, found, class_names)
        listed = dict(sorted(listed.items()))
        checked = check_files(root, list(listed), cache=cache, progress=progress)
        hashes, reasons = np.array([file.hash for file in checked], np.uint64), [file.reason for file in checked]
        super().__init__(source, listed, found=found, numbers=numbers, hashes=hashes, reasons=reasons)
        self._root = root

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The files at `indices`, in that order; raises `InputError` if one has gone since they were indexed."""
        return [self._read(self._root / self.ids[index]) for index in indices]

    def _read(self, path: pathlib.Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} was there when it was indexed: {error.strerror}") from error


def _printable(name: str) -> str:
    """`name`, with escapes for bytes that are not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")
