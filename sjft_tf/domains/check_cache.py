"""What checking image files found, kept on disk, so that a second start need not read them all again."""

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.files import load_arrays, save_arrays
from sjft_tf.images.decoding import MAX_PIXELS

_RULES = [2, MAX_PIXELS]  # raise the first number when the decoder comes to accept or refuse other files
_NUMBERS = {"size": np.int64, "changed_ns": np.int64, "hash": np.uint64}

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CheckedFile:
    """What is known of a file.

    Attributes:
        size: in bytes.
        changed_ns: time of the last change, in nanoseconds.
        hash: 64 bits that follow from its bytes; 0 if it was not read.
        reason: why it is no use; empty if nothing speaks against it.
    """

    size: int = 0
    changed_ns: int = 0
    hash: int = 0
    reason: str = ""


def read_cache(path: str | os.PathLike) -> dict[str, CheckedFile]:
    """Files by name, as written by `write_cache`; none, if the cache is missing, damaged or from another decoder."""
    if not os.path.exists(path):
        return {}
    try:
        table = load_arrays(path, {"rules": np.int64, "names": np.uint8, "reasons": np.uint8, **_NUMBERS})
    except InputError as error:
        _logger.warning("%s; all images are checked again", error)
        return {}
    if table["rules"].tolist() != _RULES:
        return {}
    names, reasons = _unpacked(table["names"]), _unpacked(table["reasons"])
    numbers = [table[field].tolist() for field in _NUMBERS]
    return {name: CheckedFile(*fields) for name, *fields in zip(names, *numbers, reasons, strict=True)}


def write_cache(path: str | os.PathLike, files: Mapping[str, CheckedFile]) -> None:
    """Keep what is known of each file; names hold no NUL, as no file system allows one."""
    numbers = {
        field: np.array([getattr(file, field) for file in files.values()], dtype) for field, dtype in _NUMBERS.items()
    }
    reasons = _packed(file.reason for file in files.values())
    save_arrays(path, rules=np.array(_RULES, np.int64), names=_packed(files), reasons=reasons, **numbers)


def _packed(texts: Iterable[str]) -> np.ndarray:
    return np.frombuffer("".join(text + "\0" for text in texts).encode(), np.uint8)


def _unpacked(octets: np.ndarray) -> list[str]:
    return octets.tobytes().decode().split("\0")[:-1]
