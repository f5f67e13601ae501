"""Writing files so that a reader sees the old content or the new, never a part.

Content goes to a temporary name in the same folder, is flushed to the disk, and takes its place by rename: the guarantee
is that of `os.replace` within one file system. A killed process may leave a file `.NAME.tmp-PID`, which `remove_leftovers`
deletes. Folders are made as needed.
"""

import contextlib
import csv
import hashlib
import io
import json
import logging
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from sjft_tf.errors import InputError

_logger = logging.getLogger(__name__)
_TEMPORARY = re.compile(r"\..+\.tmp-\d+(\.\w+)*")  # the names that are made below


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` on success; on failure `path` is as it was."""
    with replacing_path(path) as temporary, open(temporary, "wb") as file:
        yield file


@contextlib.contextmanager
def replacing_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A name for somebody else's writer, with the suffixes of `path`; the file takes its place on success."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}{''.join(path.suffixes)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Delete what killed processes left behind in `folder` and below it; nobody else may be writing there."""
    for path in pathlib.Path(folder).rglob(".*.tmp-*"):
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def csv_text(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """The text of a CSV file whose lines end as everywhere else; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON; NaN is refused, because no other reader takes it."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def save_arrays(path: str | os.PathLike[str], **arrays: Any) -> None:
    """Write arrays as an uncompressed `.npz`; the same arrays give the same bytes."""
    with replacing(path) as file:
        np.savez(file, **arrays)


def load_arrays(path: str | os.PathLike[str], expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, checked by name and dtype; nothing is unpickled.

    Args:
        path: the file.
        expected: dtype (or abstract dtype such as `np.str_`) by array name; other arrays in the file are ignored.

    Raises:
        InputError: the file is missing or damaged, or an array is absent or of another dtype.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in expected if name in archive}
    except Exception as error:  # a damaged archive can break NumPy or zipfile anywhere
        reason = "it is missing" if isinstance(error, FileNotFoundError) else f"it is damaged ({error})"
        raise InputError(f"{path} cannot be read: {reason}") from error
    for name, dtype in expected.items():
        if name not in arrays:
            raise InputError(f"{path} has no array {name!r}; it was not written by sjft-tf")
        if not np.issubdtype(arrays[name].dtype, dtype):
            raise InputError(f"{path}: array {name!r} is {arrays[name].dtype}, expected {np.dtype(dtype).name}")
    return arrays


def load_made_from(
    path: str | os.PathLike[str], made_from: str, expected: Mapping[str, Any], *, otherwise: str = "it is recomputed"
) -> dict[str, np.ndarray] | None:
    """The arrays of a file that carries `made_from`, the hash of its inputs as they are now, or None.

    None is for a file that is absent, damaged or made from something else; the last two are logged, with `otherwise`, which
    says what happens then. `expected` is as in `load_arrays`.
    """
    if not os.path.exists(path):
        return None
    try:
        arrays = load_arrays(path, {**expected, "made_from": np.str_})
    except InputError as error:
        _logger.warning("%s; %s", error, otherwise)
        return None
    if str(arrays.pop("made_from")) != made_from:
        _logger.info("%s was made from other inputs; %s", path, otherwise)
        return None
    return arrays


def digest(*parts: Any) -> str:
    """Sixteen hex digits that change when any part does; parts are arrays, bytes, or JSON values."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            header, content = f"{part.dtype.str}{part.shape}".encode(), np.ascontiguousarray(part).tobytes()
        elif isinstance(part, bytes):
            header, content = b"bytes", part
        else:
            header, content = b"json", json.dumps(part, sort_keys=True).encode()
        state.update(b"%s:%d:" % (header, len(content)) + content)
    return state.hexdigest()[:16]


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """`digest` of a file's content, read in pieces.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
