"""SIGTERM, by which machines are taken back, and Ctrl-C: raised at once, or noted until a step is done."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from sjft_tf.errors import Preempted

EXIT_CODE = 75  # EX_TEMPFAIL: the same command resumes later


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
            raise Preempted("stopped by SIGTERM")
        if self.by == signal.SIGINT:
            raise KeyboardInterrupt


def preemptible() -> contextlib.AbstractContextManager[Asked]:
    """SIGTERM raises `Preempted`, so that files half-written are cleared away."""
    return _noted(signal.SIGTERM)


def noting() -> contextlib.AbstractContextManager[Asked]:
    """While `waits` is set, SIGTERM and Ctrl-C are noted; who trains looks after each step, saves, and stops."""
    return _noted(signal.SIGTERM, signal.SIGINT)


def end_with_parent() -> None:
    """From now on, SIGTERM for this process when its standard input, a pipe from its parent, is closed."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):  # not sys.stdin, whose lock would be held when Python ends
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _noted(*numbers: signal.Signals) -> Iterator[Asked]:
    asked = Asked()

    def note(number: int, frame: FrameType | None) -> None:
        asked.by = number
        if not asked.waits:
            asked.raise_if()

    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread
        yield asked
        return
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield asked
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
