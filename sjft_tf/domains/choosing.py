"""Some images of a domain: without some classes, those that a list names, or so many a class by seed."""

import difflib
import hashlib
import logging
import os
from collections.abc import Sequence

import numpy as np

from sjft_tf.domains.derived import Subset
from sjft_tf.domains.domain import Domain
from sjft_tf.errors import InputError

_logger = logging.getLogger(__name__)


def chosen(
    domain: Domain,
    *,
    exclude_classes: Sequence[str] = (),
    listed: str | os.PathLike[str] | None = None,
    skip_per_class: int = 0,
    per_class: int | None = None,
    seed: int = 0,
) -> Domain:
    """The images that all of the choices leave; the domain itself where nothing is chosen.

    Args:
        domain: where images are chosen from.
        exclude_classes: names of classes that are left out, images and names.
        listed: a text file in UTF-8 that names one image a line, by id; the others are left out. Empty lines do not count.
        skip_per_class: images of each class that are left out, the first in an order that `seed` decides.
        per_class: images of each class that are taken, the next in that order; all others, if None. The order depends on
            seed and ids alone: the choices with `per_class=15` and with `skip_per_class=15` have no image in common, and
            stay what they are when other images are added.
        seed: any whole number.

    Raises:
        InputError: a class or an image is unknown, the list cannot be read, or a class, or everything, ends up empty.
    """
    if exclude_classes:
        domain = without_classes(domain, exclude_classes)
    if listed is not None:
        domain = Subset(domain, _listed_rows(domain, listed))
    if skip_per_class or per_class is not None:
        domain = Subset(domain, rows_per_class(domain, skip_per_class, per_class, seed))
    if not len(domain):
        raise InputError(f"{domain.name}: no image is left")
    return domain


def without_classes(domain: Domain, names: Sequence[str]) -> Subset:
    """The domain without the classes of these names.

    Raises:
        InputError: one is not a class of the domain, or no other class is left.
    """
    for name in names:
        if name not in domain.class_names:
            nearest = difflib.get_close_matches(name, domain.class_names, 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise InputError(f"exclude_classes names {name!r}, which {domain.name} has no class of{hint}")
    kept = [name for name in domain.class_names if name not in names]
    if not kept:
        raise InputError(f"exclude_classes leaves no class of {domain.name}")
    return Subset(domain, np.flatnonzero(~np.isin(np.array(domain.class_names)[domain.labels], names)), kept)


def rows_per_class(domain: Domain, skip: int, count: int | None, seed: int) -> np.ndarray:
    """Ascending positions of images `skip` to `skip + count` of each class, or to the last one, in the order of `seed`.

    A class with fewer images gives what it has, which is logged.

    Raises:
        InputError: a class has none beyond `skip`.
    """
    places = [hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogateescape")).digest() for name in domain.ids]
    rows, short = [], []
    for label in np.unique(domain.labels).tolist():
        in_order = sorted(np.flatnonzero(domain.labels == label).tolist(), key=places.__getitem__)
        taken = in_order[skip : None if count is None else skip + count]
        if not taken:
            raise InputError(
                f"{domain.name}: class {domain.class_names[label]!r} has {len(in_order)} images, "
                f"of which skip_per_class {skip} leaves none"
            )
        if count is not None and len(taken) < count:
            short.append(f"{domain.class_names[label]!r} with {len(taken)}")
        rows += taken
    if short:
        _logger.warning("%s: %d classes have fewer than %s images, e.g. %s", domain.name, len(short), count, short[0])
    return np.sort(rows)


def _listed_rows(domain: Domain, path: str | os.PathLike[str]) -> np.ndarray:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be read: {error.strerror}") from error
    rows = {name: row for row, name in enumerate(domain.ids)}
    rejected = {file.id for file in domain.rejected}
    for number, name in enumerate(lines, start=1):
        if name and name not in rows and os.fsencode(name).decode(errors="backslashreplace") not in rejected:
            raise InputError(
                f"{os.fspath(path)}, line {number}: {name!r} is no image of {domain.name}, "
                f"whose ids look like {domain.ids[0]!r}"
            )
    return np.array(sorted({rows[name] for name in lines if name in rows}), np.int64)
