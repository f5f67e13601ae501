"""Every image file is decoded once, when its collection is indexed, so that no broken one turns up inside a batch."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import stat
from collections.abc import Generator, Iterator, Sequence

import tensorflow as tf

from sjft_tf.domains.check_cache import CheckedFile, read_cache, write_cache
from sjft_tf.images.decoding import MAX_PIXELS, decode
from sjft_tf.images.tolerant import try_views
from sjft_tf.progress import Progress

_MAX_BYTES = 4 * MAX_PIXELS  # an uncompressed image of the most pixels
_CHUNK_FILES, _CHUNK_BYTES = 256, 1 << 24  # read before they are decoded together
_WORKERS = 4

_logger = logging.getLogger(__name__)


def check_files(
    root: str | os.PathLike,
    names: Sequence[str],
    *,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> list[CheckedFile]:
    """Decode every file once.

    Args:
        root: the folder to which `names` are relative.
        names: paths of the files.
        cache: a file that remembers the results; made if absent, renewed if anything changed, also when the check is
            interrupted. With it, only files whose size or time of change is another than before are read again.
        progress: told after every few hundred files that were decoded.

    Returns:
        One entry a name, in order.
    """
    known = {} if cache is None else read_cache(cache)
    checked = [_look_at(os.path.join(root, name)) for name in names]
    checked = [_same(known.get(name), file) or file for name, file in zip(names, checked, strict=True)]
    pending = [index for index, file in enumerate(checked) if not file.hash and not file.reason]
    if pending:
        _logger.info("%s: decoding %d of %d image files once, to find broken ones", root, len(pending), len(names))
    try:
        with contextlib.closing(_check_in_parallel(root, names, checked, pending, progress)) as results:
            for index, file in results:
                checked[index] = file
    finally:  # who is stopped here goes on from here
        current = {name: file for name, file in zip(names, checked, strict=True) if file.hash}
        if cache is not None and current != known:
            write_cache(cache, current)
    return checked


def faults(contents: Sequence[bytes]) -> list[str]:
    """Why each of some encoded images cannot be decoded; empty for those that can."""
    is_good = _are_decodable(tf.constant(list(contents), tf.string)).numpy()
    return ["" if good else explain(content) for content, good in zip(contents, is_good, strict=True)]


def explain(encoded: bytes) -> str:
    """Why the bytes cannot be decoded, in words for the user; empty if they can."""
    if not encoded:
        return "the file is empty"
    try:
        _decode(tf.constant(encoded))
    except tf.errors.OpError as error:
        claim = re.search(r"assertion failed: \[(.*)\]", str(error.message))
        return re.sub(r"[\[\]]", "", claim[1]) if claim else "the image data are damaged or cut off"
    return ""


def _look_at(path: str) -> CheckedFile:
    """What can be said of a file without reading it."""
    try:
        path.encode()
        status = os.stat(path)
    except UnicodeEncodeError:
        return CheckedFile(reason="its name is not UTF-8")
    except OSError as error:
        return CheckedFile(reason=f"it cannot be read: {error.strerror}")
    reason = ""
    if not stat.S_ISREG(status.st_mode):
        reason = "it is not a file"
    elif status.st_size > _MAX_BYTES:
        reason = f"it has {status.st_size:,} bytes, more than any image of {MAX_PIXELS:,} pixels"
    return CheckedFile(status.st_size, status.st_mtime_ns, reason=reason)


def _same(known: CheckedFile | None, found: CheckedFile) -> CheckedFile | None:
    """What was known of a file, if it did not change since."""
    return known if known and (known.size, known.changed_ns) == (found.size, found.changed_ns) else None


def _check_in_parallel(
    root: str | os.PathLike,
    names: Sequence[str],
    files: Sequence[CheckedFile],
    pending: Sequence[int],
    progress: Progress | None,
) -> Generator[tuple[int, CheckedFile], None, None]:
    def check(chunk):
        return chunk, _check_together([(os.path.join(root, names[index]), files[index]) for index in chunk])

    done, pool = 0, concurrent.futures.ThreadPoolExecutor(_WORKERS)
    try:
        for chunk, checked in pool.map(check, _chunks(pending, [files[index].size for index in pending])):
            yield from zip(chunk, checked, strict=True)
            done += len(chunk)
            if progress:
                progress(done, len(pending))
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(indices: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Consecutive runs of `indices`, few enough to be held in memory together."""
    chunk: list[int] = []
    held = 0
    for index, size in zip(indices, sizes, strict=True):
        if chunk and (len(chunk) == _CHUNK_FILES or held + size > _CHUNK_BYTES):
            yield chunk
            chunk, held = [], 0
        chunk.append(index)
        held += size
    if chunk:
        yield chunk


def _check_together(files: Sequence[tuple[str, CheckedFile]]) -> list[CheckedFile]:
    contents = [_read(path) for path, _ in files]
    reasons = faults([content if isinstance(content, bytes) else b"" for content in contents])
    checked = []
    for (_, file), content, reason in zip(files, contents, reasons, strict=True):
        if isinstance(content, bytes):
            digest = hashlib.blake2b(content, digest_size=8).digest()
            checked.append(dataclasses.replace(file, hash=int.from_bytes(digest), reason=reason))
        else:
            checked.append(dataclasses.replace(file, reason=f"it cannot be read: {content.strerror}"))
    return checked


def _read(path: str) -> bytes | OSError:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return error


_decode = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])  # in a graph, errors say more


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _are_decodable(encoded: tf.Tensor) -> tf.Tensor:
    return try_views(encoded, tf.size)[1]
