"""Rows cut into tiles, and tiles given to threads, because NumPy computes without the interpreter's lock."""

import concurrent.futures
import os
from collections.abc import Callable, Iterator


def tiles(n: int, rows: int) -> Iterator[slice]:
    """Slices of at most `rows` that cover 0..n-1 in order."""
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


class Threads(concurrent.futures.ThreadPoolExecutor):
    """As many threads as there are cores; a context that ends them."""

    def __init__(self) -> None:
        super().__init__(os.cpu_count())

    def each(self, work: Callable[[slice], None], n: int, *, rows: int) -> None:
        """Call `work` for tiles that cover 0..n-1, side by side; the first exception is raised."""
        for _ in self.map(work, tiles(n, rows)):
            pass
