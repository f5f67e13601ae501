"""Arrays in somebody else's file: the shape is known first, and the content is read when the shape is found right."""

import contextlib
import dataclasses
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sjft_tf.errors import InputError

MAX_AXES = 8
MAX_ENTRIES = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """An array in a file."""

    shape: tuple[int, ...]  # as the file declares it
    read: Callable[[], np.ndarray]  # float32; raises `InputError` where the file does not hold what it declares

    def __setstate__(self, state: Any) -> None:
        """Refuses what a pickle would otherwise write over."""
        raise ValueError("a state for an array that has one")


def is_shape(value: Any) -> bool:
    """Whether `value` is a tuple of at most `MAX_AXES` whole numbers that are 0 or more."""
    return (
        isinstance(value, tuple) and len(value) <= MAX_AXES and all(type(size) is int and size >= 0 for size in value)
    )


def as_float32(values: np.ndarray) -> np.ndarray:
    """`values` as float32; what is too large for it becomes an infinity, for the reader of the weights to find."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def open_zip(data: bytes) -> zipfile.ZipFile:
    """The zip archive in `data`; raises `InputError` if it is none or has so many entries that they fill the memory."""
    if data.count(b"PK\x01\x02") > MAX_ENTRIES:
        raise InputError(f"its zip archive has more than {MAX_ENTRIES} entries, too many for weights")
    with reporting_damage("its zip archive"):
        return zipfile.ZipFile(io.BytesIO(data))


@contextlib.contextmanager
def reporting_damage(what: str) -> Iterator[None]:
    """Turns any error into an `InputError` of one line that says `what` is damaged; an `InputError` stays as it is."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # damage can break zipfile, NumPy or pickle anywhere
        raise InputError(f"{what} is damaged ({' '.join(str(error).split())[:200] or type(error).__name__})") from error
