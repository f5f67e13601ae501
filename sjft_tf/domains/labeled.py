"""What collections have in common whose images are decoded once, when they are indexed."""

import difflib
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from sjft_tf.domains.domain import Domain, Rejected
from sjft_tf.errors import InputError
from sjft_tf.files import digest

_logger = logging.getLogger(__name__)


def numbered(source: object, found: Sequence[str], class_names: Sequence[str] | None) -> dict[str, int]:
    """The label space: `class_names`, or `found` where there are none, each with its number.

    Raises:
        InputError: a class that was found in `source` is not in `class_names`, or these hold one twice.
    """
    names = found if class_names is None else class_names
    numbers = {name: number for number, name in enumerate(names)}
    if len(numbers) < len(names):
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
        self.rejected = tuple(
            Rejected(os.fsencode(name).decode(errors="backslashreplace"), reason) for name, reason in checked if reason
        )
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
