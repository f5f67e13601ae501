"""Rows cut into tiles, and tiles given to threads."""

import concurrent.futures
from collections.abc import Callable, Iterator

_ROWS = 32  # of a tile for one thread


def tiles(n: int, rows: int) -> Iterator[slice]:
    """Slices of at most `rows` that cover 0..n-1 in order."""
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def in_threads(pool: concurrent.futures.Executor, work: Callable[[slice], None], n: int) -> None:
    """Call `work` for tiles that cover 0..n-1; NumPy lets go of the interpreter, so the tiles run side by side."""
    for _ in pool.map(work, tiles(n, _ROWS)):
        pass
