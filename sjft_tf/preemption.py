"""SIGTERM, by which machines are taken back, and Ctrl-C: raised at once, or noted until a step is done."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from sjft_tf.errors import Preempted

EXIT_CODE = 75  # EX_TEMPFAIL: the same command resumes later
_SAID = "stopped by SIGTERM"


class Asked:
    """Whether the process was asked to stop; `raise_if` does what the signal would have done.

    Attributes:
        waits: whether a signal is only noted; else it raises at once.
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self.waits = False

    def __bool__(self) -> bool:
        return self.by is not None

    def raise_if(self) -> None:
        """Stop, if asked."""
        if self.by == signal.SIGTERM:
            raise Preempted(_SAID)
        if self.by == signal.SIGINT:
            raise KeyboardInterrupt


@contextlib.contextmanager
def preemptible() -> Iterator[None]:
    """SIGTERM raises `Preempted`, so that files half-written are cleared away."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Preempted(_SAID)

    with _handling([signal.SIGTERM], stop):
        yield


@contextlib.contextmanager
def noting() -> Iterator[Asked]:
    """While `waits` is set, SIGTERM and Ctrl-C are noted; who trains looks after each step, saves, and stops."""
    asked = Asked()

    def note(number: int, frame: FrameType | None) -> None:
        asked.by = number
        if not asked.waits:
            asked.raise_if()

    with _handling([signal.SIGTERM, signal.SIGINT], note):
        yield asked


@contextlib.contextmanager
def _handling(numbers: list[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
