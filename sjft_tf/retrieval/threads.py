"""Rows cut into tiles, and tiles given to threads, because NumPy computes without the interpreter's lock."""

import concurrent.futures
import contextlib
import os
import queue
from collections.abc import Callable, Iterator
from typing import Any

import threadpoolctl

N_CORES = os.cpu_count() or 1


def tiles(n: int, rows: int) -> Iterator[slice]:
    """Slices of at most `rows` that cover 0..n-1 in order."""
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def for_each_tile(work: Callable[[slice], None], n: int, *, rows: int) -> None:
    """Call `work` for tiles that cover 0..n-1, side by side, a thread for each core; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(N_CORES) as threads:
        for _ in threads.map(work, tiles(n, rows)):
            pass


@contextlib.contextmanager
def borrowed(free: "queue.SimpleQueue[Any]") -> Iterator[Any]:
    """One of what is free, as soon as there is one; given back even after an error."""
    room = free.get()
    try:
        yield room
    finally:
        free.put(room)


def one_blas_thread() -> contextlib.AbstractContextManager[object]:
    """A context in which a product takes one thread: where our threads multiply side by side, none waits for another."""
    return threadpoolctl.threadpool_limits(1, user_api="blas")
