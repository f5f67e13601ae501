"""Image collections of a file an image: one folder a class, or listed in a table."""

import csv
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sjft_tf.domains.checking import check_files
from sjft_tf.domains.labeled import LabeledImages, numbered
from sjft_tf.errors import InputError
from sjft_tf.progress import Progress

_READ = (".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")
_NOT_READ = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff")


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


class ImageFolder(ImageFiles):
    """A folder that holds one folder per class, and below each the images of the class, at any depth.

    Images are the files with the usual suffixes of image files, in upper or lower case. All of them are decoded once,
    here; those that cannot be used, formats that are not read among them, go to `rejected` with the reason. Other files
    (lists, notes, thumbnails' databases), files outside the class folders, and whatever begins with a dot, are not
    looked at.

    Args:
        path: the folder.
        class_names: the label space in its order, such as that of the training images; some may be absent here. If
            None, the names of the class folders, sorted.
        cache: a file that remembers what checking the images found, for a quick second start (see `check_files`).
        progress: told how many images have been checked.

    Raises:
        InputError: the folder is missing or holds no class folder, a class folder is not in `class_names` or has no
            usable image, or fewer than two images are usable.

    Example:
        train = ImageFolder("flowers/train")
        test = ImageFolder("flowers/test", class_names=train.class_names)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        class_names: Sequence[str] | None = None,
        cache: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> None:
        root = pathlib.Path(path)
        try:
            found = sorted(
                entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")
            )
            listed = {f"{name}/{image}": name for name in found for image in _images_below(root / name)}
        except OSError as error:
            raise InputError(
                f"{error.filename} cannot be read as a folder of class folders: {error.strerror}"
            ) from error
        if not found:
            raise InputError(f"{root} holds no folder; it must hold one folder per class with the images of the class")
        super().__init__(root, root, listed, found=found, class_names=class_names, cache=cache, progress=progress)


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


def _images_below(folder: pathlib.Path) -> Iterator[str]:
    """Paths relative to `folder`, with slashes."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        seen.add(os.path.realpath(parent))
        linked = [name for name in folders if os.path.realpath(os.path.join(parent, name)) in seen]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in linked]
        inside = pathlib.PurePath(os.path.relpath(parent, folder))
        for name in names:
            if not name.startswith(".") and name.lower().endswith(_READ + _NOT_READ):
                yield (inside / name).as_posix()


def _raise(error: OSError) -> None:
    raise error


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
