"""How long-running functions tell how far they are, without knowing who listens; and a bar on a terminal that does."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

logger = logging.getLogger(__name__)
console = rich.console.Console(stderr=True)

# called with the number of items done so far and the number of items in all
Progress = Callable[[int, int], None]


class _Rate(rich.progress.ProgressColumn):
    """Items a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: rich.progress.Task) -> str:
        speed = task.finished_speed or task.speed
        return f"{speed:,.0f} {self.unit}/s" if speed else ""


@contextlib.contextmanager
def watching(task: str, unit: str = "images") -> Iterator[Progress | None]:
    """A progress bar named `task` on stderr; None where stderr is no terminal or only warnings are wanted."""
    if not (console.is_terminal and logger.isEnabledFor(logging.INFO)):
        yield None
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        _Rate(unit),
        rich.progress.TimeRemainingColumn(),
    )
    stderr = sys.stderr
    with rich.progress.Progress(*columns, console=console, transient=True) as bar, contextlib.ExitStack() as afterwards:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stderr:
                handler.setStream(sys.stderr)  # the one that rich put in its place, or lines would tear the bar apart
                afterwards.callback(handler.setStream, stderr)
        handle = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(handle, completed=done, total=total)
