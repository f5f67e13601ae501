"""How long-running functions tell how far they are, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called with the number of items done so far and the number of items in all."""

    def __call__(self, done: int, total: int) -> None:
        """Report `done` of `total` items."""
