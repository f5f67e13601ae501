"""Every image file is decoded once, when its collection is indexed, so that no broken one turns up inside a batch."""

import concurrent.futures
import functools
import hashlib
import itertools
import json
import logging
import os
import pathlib
import re
import stat
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from sjft_tf.files import load_made_from, save_arrays
from sjft_tf.images import MAX_PIXELS, decode, try_views
from sjft_tf.progress import Progress

_RULES = f"2 {MAX_PIXELS}"  # raise the first number when the decoder comes to accept or refuse other files
_MAX_BYTES = 4 * MAX_PIXELS  # an uncompressed image of the most pixels
_CHUNK_FILES, _CHUNK_BYTES = 256, 1 << 24  # read before they are decoded together
_WORKERS = 4

_logger = logging.getLogger(__name__)


class CheckedFile(NamedTuple):
    """What is known of a file."""

    size: int = 0  # in bytes
    changed_ns: int = 0  # time of the last change, in nanoseconds
    hash: int = 0  # 64 bits that follow from its bytes; 0 if it was not read
    reason: str = ""  # why it is no use; empty if nothing speaks against it


def check_files(
    root: str | os.PathLike,
    names: Sequence[str],
    *,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> list[CheckedFile]:
    """What is known of each file, in the order of `names`, paths relative to the folder `root`; all are decoded once.

    Args:
        cache: an `.npz` file that remembers the results; made if absent, renewed if anything changed, also when the
            check is interrupted. With it, only files whose size or time of change is another than before are read again.
        progress: told after every few hundred files that were decoded.
    """
    kinds, otherwise = {"files": np.uint8}, "all images are checked again"
    held = None if cache is None else load_made_from(cache, _RULES, kinds, otherwise=otherwise)
    stored = json.loads(held["files"].tobytes()) if held else {}
    known = {name: CheckedFile(*file) for name, file in stored.items()}
    checked = {name: _look_at(os.path.join(root, name)) for name in names}
    for name in known.keys() & checked.keys():
        if known[name][:2] == checked[name][:2]:
            checked[name] = known[name]
    pending = {name: file for name, file in checked.items() if not file.hash and not file.reason}
    if pending:
        _logger.info("%s: decoding %d of %d image files once, to find broken ones", root, len(pending), len(names))
    done = 0
    pool = concurrent.futures.ThreadPoolExecutor(_WORKERS)
    try:
        for results in pool.map(functools.partial(_read_and_decode, root), _chunks(pending)):
            checked |= results
            done += len(results)
            if progress:
                progress(done, len(pending))
    finally:  # a check that is stopped here resumes from here
        pool.shutdown(cancel_futures=True)
        current = {name: file for name, file in checked.items() if file.hash}
        if cache is not None and current != known:
            save_arrays(cache, made_from=_RULES, files=np.frombuffer(json.dumps(current).encode(), np.uint8))
    return list(checked.values())


def faults(contents: Sequence[bytes]) -> list[str]:
    """Why each of some encoded images cannot be decoded, in words for the user; empty for those that can."""
    is_good = _are_decodable(tf.constant(list(contents), tf.string)).numpy()
    return ["" if good else _explained(content) for content, good in zip(contents, is_good, strict=True)]


def _explained(encoded: bytes) -> str:
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
    if not stat.S_ISREG(status.st_mode):
        return CheckedFile(reason="it is not a file")
    if status.st_size > _MAX_BYTES:
        return CheckedFile(reason=f"it has {status.st_size:,} bytes, more than any image of {MAX_PIXELS:,} pixels")
    return CheckedFile(status.st_size, status.st_mtime_ns)


def _chunks(files: Mapping[str, CheckedFile]) -> list[dict[str, CheckedFile]]:
    """Consecutive files, few enough for their content to be held in memory together."""
    ends = itertools.accumulate(file.size for file in files.values())
    places = zip(itertools.count(), ends, files.items())
    grouped = itertools.groupby(places, lambda place: (place[0] // _CHUNK_FILES, place[1] // _CHUNK_BYTES))
    return [dict(item for _, _, item in group) for _, group in grouped]


def _read_and_decode(root: str | os.PathLike, files: Mapping[str, CheckedFile]) -> dict[str, CheckedFile]:
    checked, contents = {}, {}
    for name, file in files.items():
        try:
            contents[name] = pathlib.Path(root, name).read_bytes()
        except OSError as error:
            checked[name] = file._replace(reason=f"it cannot be read: {error.strerror}")
    for (name, content), reason in zip(contents.items(), faults(list(contents.values())), strict=True):
        number = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
        checked[name] = files[name]._replace(hash=number, reason=reason)
    return checked


_decode = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])  # in a graph, errors say more


@tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
def _are_decodable(encoded: tf.Tensor) -> tf.Tensor:
    return try_views(encoded, tf.size)[1]
