"""Random access to TFRecord files, which are made to be read from front to back.

Each record is its length (8 bytes, little-endian), 4 bytes of checksum, the data, and 4 bytes of checksum. Hopping from
length to length tells where all records are without reading them.
"""

import itertools
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sjft_tf.errors import InputError
from sjft_tf.progress import Progress

_LENGTH = struct.Struct("<Q4x")
_CHECKSUM = 4
_CHUNK = 256


class TFRecordSpans:
    """Records `skip` to `skip + take` of each of several files, one after the other.

    Args:
        spans: (file, skip, take), files on a local disk; all records, if `take` is None.

    Raises:
        InputError: a file cannot be read or holds fewer records.
    """

    def __init__(self, spans: Sequence[tuple[str, int, int | None]]) -> None:
        self._paths = [path for path, _, _ in spans]
        places = [
            (number, *place)
            for number, (path, skip, take) in enumerate(spans)
            for place in itertools.islice(_record_places(path, None if take is None else skip + take), skip, None)
        ]
        self._places = np.array(places, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        return len(self._places)

    def __getitems__(self, indices: Sequence[int]) -> list[bytes]:
        """The data of the records at `indices`, in that order."""
        return [self._read(*self._places[index]) for index in indices]

    def _read(self, number: int, start: int, length: int) -> bytes:
        path = self._paths[number]
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise InputError(f"{path} was there when it was indexed: {error.strerror}") from error


def read_in_chunks(records: Any, progress: Progress | None) -> Iterator[list[bytes]]:
    """All records in order, few enough at a time to be held in memory."""
    for start in range(0, len(records), _CHUNK):
        stop = min(start + _CHUNK, len(records))
        yield records.__getitems__(range(start, stop))
        if progress:
            progress(stop, len(records))


def _record_places(path: str, count: int | None) -> Iterator[tuple[int, int]]:
    """Start and length of the data of the first `count` records, or of all."""
    try:
        size, start = os.path.getsize(path), 0
        with open(path, "rb", buffering=0) as file:
            for number in itertools.count():
                if number == count or (count is None and start == size):
                    return
                file.seek(start)
                header = file.read(_LENGTH.size)
                length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else size
                if start + _LENGTH.size + length + _CHECKSUM > size:
                    of = f" of {count}" if count is not None else ""
                    raise InputError(f"{path} breaks off after {number}{of} records; prepare the data set again")
                yield start + _LENGTH.size, length
                start += _LENGTH.size + length + _CHECKSUM
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
