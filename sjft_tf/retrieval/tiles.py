"""Rows cut into tiles, and tiles given to threads."""

import concurrent.futures
from collections.abc import Callable, Iterator

from sjft_tf.errors import InputError

_ROWS = 32  # for a thread at a time: few enough for the processor's cache, enough to make up for the call


def tiles(n: int, rows: int) -> Iterator[slice]:
    """Slices of at most `rows` that cover 0..n-1 in order."""
    if rows < 1:
        raise InputError(f"{rows} rows at a time cannot be searched; it must be 1 or more")
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def in_threads(pool: concurrent.futures.Executor, work: Callable[[slice], None], n: int, *, rows: int = _ROWS) -> None:
    """Call `work` for tiles that cover 0..n-1, side by side, because NumPy works without the interpreter's lock."""
    for _ in pool.map(work, tiles(n, rows)):
        pass
