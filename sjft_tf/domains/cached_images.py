"""Images resized once and kept on disk as plain pixels, for machines where decoding is what training waits for.

Pixels are kept in shards: files of many images, each written whole under a new name and never changed. An image carries
a checksum, and where it lies is read from the shards themselves, so that no list can disagree with them. What is
damaged, cut off, or gone counts as absent and is made again. Runs share a folder without locks: the worst that two of
them can do to each other is to keep the same image twice.

An image is the same to the bit whether it comes from the disk or is made on the spot, so what a run learns does not
depend on what the cache holds, nor on its size.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib
import secrets
import threading
import time
import weakref
import zlib

import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.domains.domain import Domain
from sjft_tf.errors import InputError
from sjft_tf.images.decoding import WindowedImage, as_pixels, decode

_RULES = 1  # raise it when images come to be resized or kept in another way
_SHARD_BYTES = 1 << 25  # waiting in memory at most, before they are written together
_UNUSED_SECONDS = 7 * 24 * 3600  # a shard that no run read for so long makes room for others
_HEADER = np.dtype([("magic", "S8"), ("count", "<u4"), ("checksum", "<u4")])
_ENTRY = np.dtype([("image", "<u4"), ("checksum", "<u4"), ("length", "<u8")])
_MAGIC, _SUFFIX = b"sjft-px1", ".images"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Place:
    path: pathlib.Path
    start: int
    length: int
    checksum: int


class CachedImages:
    """A domain whose larger images are resized, and whose images are kept on disk when first asked for.

    The shorter side of an image becomes `short_side` (bilinear, antialiased, aspect kept, rounded to whole numbers) where
    it is longer; others keep their pixels. New images are written some at a time: `flush` writes those that wait, as
    does the end of the process; a killed one loses them.

    When the folder is full, shards that no run began to read within a week leave; if there are none, further images
    are made each time that they are asked for, and the log says so. While two runs write at the same moment there may be
    one unfinished file more than `max_bytes` allows; the finished ones never exceed it.

    Args:
        domain: the images.
        folder: of the cache; made if absent. Any number of domains, sizes and runs may share it.
        short_side: longest that a shorter side may be, in pixels.
        max_bytes: that all files in the folder may have together.

    Raises:
        InputError: `short_side` or `max_bytes` is below 1.
    """

    def __init__(self, domain: Domain, folder: str | os.PathLike[str], *, short_side: int, max_bytes: int) -> None:
        for name, value in (("short_side", short_side), ("max_bytes", max_bytes)):
            if value < 1:
                raise InputError(f"{name} of the image cache is {value}; it must be 1 or more")
        self.name, self.ids, self.labels = domain.name, domain.ids, domain.labels
        self.class_names, self.rejected = domain.class_names, domain.rejected
        self._domain, self._short_side = domain, short_side
        self._fingerprint = files.digest("resized", _RULES, domain.fingerprint(), short_side)
        self._shards = _Shards(pathlib.Path(folder), self._fingerprint, max_bytes)
        weakref.finalize(self, self._shards.flush)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def encoded(self, indices: np.ndarray) -> list[bytes]:
        """The images at `indices`, in that order: most as `as_pixels` makes them, all such that `decode` takes them."""
        indices = np.asarray(indices)
        kept = [self._shards.read(index) for index in indices.tolist()]
        missing = [place for place, image in enumerate(kept) if image is None]
        new = self._domain.encoded(indices[missing]) if missing else []
        made = {place: self._made(int(indices[place]), image) for place, image in zip(missing, new, strict=True)}
        return [made[place] if image is None else image for place, image in enumerate(kept)]

    def flush(self) -> None:
        """Write what waits to be written."""
        self._shards.flush()

    def fingerprint(self) -> str:
        """A hash of the domain's fingerprint and of `short_side`; it differs from the domain's, as pixels may."""
        return self._fingerprint

    def _made(self, index: int, encoded: bytes) -> bytes:
        if self._shards.is_full and not _is_larger(encoded, self._short_side):
            return encoded
        image = as_pixels(_resized(encoded, self._short_side).numpy())
        self._shards.add(index, image)
        return image


@tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)], autograph=False)
def _is_larger(encoded: tf.Tensor, short_side: tf.Tensor) -> tf.Tensor:
    return tf.reduce_min(WindowedImage(encoded).size) > short_side


@tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)], autograph=False)
def _resized(encoded: tf.Tensor, short_side: tf.Tensor) -> tf.Tensor:
    """`[h, w, 3]` uint8: the image, its shorter side not above `short_side`."""
    image = decode(encoded)
    size = tf.shape(image)[:2]
    shorter = tf.reduce_min(size)
    height_width = tf.cast(tf.round(tf.cast(size, tf.float64) * (short_side / shorter)), tf.int32)

    def smaller() -> tf.Tensor:
        return tf.cast(tf.round(tf.image.resize(image, height_width, antialias=True)), tf.uint8)

    return tf.cond(shorter > short_side, smaller, lambda: image)


class _Shards:
    """The images of one domain and size in a folder; may be used by several threads."""

    def __init__(self, folder: pathlib.Path, key: str, max_bytes: int) -> None:
        self.is_full = False
        self._folder, self._key, self._max_bytes = folder, key, max_bytes
        self._shard_bytes = min(_SHARD_BYTES, max_bytes // 4)
        self._lock = threading.Lock()
        self._waiting: dict[int, bytes] = {}
        self._waiting_bytes = 0
        self._known: set[str] = set()
        self._places: dict[int, _Place] = {}
        self._look()

    def read(self, image: int) -> bytes | None:
        """The image, if it is there and undamaged."""
        with self._lock:
            waiting, place = self._waiting.get(image), self._places.get(image)
        if waiting is not None or place is None:
            return waiting
        content = _read(place.path, place.start, place.length)
        if len(content) == place.length and zlib.crc32(content) == place.checksum:
            return content
        with self._lock:
            self._drop(place.path)
        return None

    def add(self, image: int, content: bytes) -> None:
        """Keep an image, if there is room; it is written later, with others."""
        with self._lock:
            if self.is_full or len(content) > self._shard_bytes:
                return
            if self._waiting_bytes + len(content) > self._shard_bytes:
                self._write()
            self._waiting[image] = content
            self._waiting_bytes += len(content)

    def flush(self) -> None:
        """Write the images that wait, and look for those of other runs."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if not waiting:
            return
        entries = np.array([(image, zlib.crc32(c), len(c)) for image, c in waiting.items()], _ENTRY).tobytes()
        header = np.array([(_MAGIC, len(waiting), zlib.crc32(entries))], _HEADER).tobytes()
        parts = [header, entries, *waiting.values()]
        try:
            self._make_room(sum(map(len, parts)))
            with files.replacing(self._folder / f"{self._key}-{secrets.token_hex(6)}{_SUFFIX}") as file:
                file.writelines(parts)
                file.flush()
                self._make_room(0)  # another run may have written, too
        except InputError as error:
            self.is_full = True
            _logger.warning("%s; images that are not in the cache are resized at every use", error)
        self._look()

    def _make_room(self, size: int) -> None:
        """Delete shards out of use, if it takes that for `size` more bytes.

        Raises:
            InputError: there is no room.
        """
        used = {path: status for path in self._folder.glob("*" + _SUFFIX) if (status := _status(path))}
        room = self._max_bytes - size - sum(status.st_size for status in used.values())
        for path, status in sorted(used.items(), key=lambda item: item[1].st_mtime):
            if room < 0 and status.st_mtime < time.time() - _UNUSED_SECONDS:
                path.unlink(missing_ok=True)
                room += status.st_size
        if room < 0:
            raise InputError(f"the image cache {self._folder} is full ({self._max_bytes:,} bytes)")

    def _look(self) -> None:
        """Find out where images lie, in the shards not seen before."""
        for path in sorted(self._folder.glob(f"{self._key}-*{_SUFFIX}")):
            if path.name not in self._known:
                self._known.add(path.name)
                places = _places(path)
                if places is None:
                    self._drop(path)
                else:
                    self._places.update(places)
                    with contextlib.suppress(OSError):
                        os.utime(path)  # it is in use

    def _drop(self, path: pathlib.Path) -> None:
        """Be rid of a damaged shard."""
        self._places = {image: place for image, place in self._places.items() if place.path != path}
        if path.exists():
            _logger.warning("%s is damaged; its images are made again", path)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _places(path: pathlib.Path) -> dict[int, _Place] | None:
    """Where the images of a shard lie; None if it is damaged or gone."""
    header = np.frombuffer(_read(path, 0, _HEADER.itemsize).ljust(_HEADER.itemsize, b"\0"), _HEADER)[0]
    count = int(header["count"])
    table = _read(path, _HEADER.itemsize, count * _ENTRY.itemsize)
    if header["magic"] != _MAGIC or zlib.crc32(table) != header["checksum"] or len(table) != count * _ENTRY.itemsize:
        return None
    entries = np.frombuffer(table, _ENTRY)
    ends = _HEADER.itemsize + len(table) + np.cumsum(entries["length"], dtype=np.int64)
    starts = ends - entries["length"].astype(np.int64)
    columns = (entries["image"], starts, entries["length"], entries["checksum"])
    return {image: _Place(path, *place) for image, *place in zip(*(c.tolist() for c in columns), strict=True)}


def _read(path: pathlib.Path, start: int, length: int) -> bytes:
    """Bytes of a file; fewer where it ends or cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            return file.read(max(0, min(length, os.fstat(file.fileno()).st_size - start)))
    except OSError:
        return b""


def _status(path: pathlib.Path) -> os.stat_result | None:
    """Size and times of a file, if it is still there."""
    try:
        return path.stat()
    except OSError:
        return None
