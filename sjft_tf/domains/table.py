"""Image collections listed in a table."""

import csv
import os
import pathlib
from collections.abc import Sequence

from sjft_tf.domains.labeled import ImageFiles
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress


class ImageTable(ImageFiles):
    """A CSV file with a header row that names a column `path` and a column `label`; other columns are not looked at.

    Ids are the paths as written. Labels are text: sorted as text they are the class names, `10` before `2`. Every image
    is decoded once, here; those that are missing or cannot be used go to `rejected` with the reason.

    Args:
        path: the table, in UTF-8.
        root: the folder to which the paths in the table are relative; the table's own, if None.
        class_names, cache, progress: as for `ImageFolder`.

    Raises:
        InputError: the table cannot be read, lacks a column or a value, or names a path twice; a label is not in
            `class_names` or has no usable image; or fewer than two images are usable.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        root: str | os.PathLike | None = None,
        class_names: Sequence[str] | None = None,
        cache: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> None:
        table = pathlib.Path(path)
        listed = _read_table(table)
        folder = table.parent if root is None else pathlib.Path(root)
        found = sorted(set(listed.values()))
        super().__init__(table, folder, listed, found=found, class_names=class_names, cache=cache, progress=progress)


def _read_table(table: pathlib.Path) -> dict[str, str]:
    """Label by path."""
    listed: dict[str, str] = {}
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise InputError(f"{table}: its first line must name the columns path and label, separated by a comma")
            for row in rows:
                image, label = row["path"], row["label"]
                if not image or not label:
                    raise InputError(f"{table}, line {rows.line_num}: path or label is missing")
                if image in listed:
                    raise InputError(f"{table}, line {rows.line_num}: {image} is listed a second time")
                listed[image] = label
    except OSError as error:
        raise InputError(f"{table} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{table} is not a CSV file in UTF-8: {error}") from error
    if not listed:
        raise InputError(f"{table} lists no image")
    return listed
