"""A line on the terminal that says how far something is: rich's bar where there is rich."""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

WAIT = 100
"""Drawing waits this many times as long as it took, so it costs at most a hundredth."""
SHORTEST_WAIT = 0.1
"""Seconds: more often than this nobody reads."""


def is_terminal() -> bool:
    """Whether stderr is a terminal that can rewrite a line."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class Progress:
    """Shows `done` of `total` and a text; silent unless `visible`.

    Used as a context; nothing of it stays on the terminal afterwards.
    """

    def __init__(self, total: int, *, visible: bool):
        self.total, self.visible = max(total, 1), visible
        self._next = 0.0
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self.visible:
            self._bar = rich_bar(self.total) or Line(self.total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, text: Callable[[], str]) -> None:
        """Draw again, if the last time is long enough ago."""
        if self._bar is None or time.perf_counter() < self._next:
            return
        start = time.perf_counter()
        self._bar.draw(done, text())
        now = time.perf_counter()
        self._next = now + max(SHORTEST_WAIT, WAIT * (now - start))


class Line:
    """One line, rewritten."""

    def __init__(self, total: int):
        self.total = total

    def draw(self, done: int, text: str) -> None:
        sys.stderr.write(f"\r\033[K{done / self.total:4.0%}  {text}")
        sys.stderr.flush()

    def stop(self) -> None:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


class RichBar:
    """A bar, the text, and the time that is left."""

    def __init__(self, rich: Any, console: Any, total: int):
        self.bar = rich.Progress(
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TextColumn("{task.description}"),
            rich.TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self.task = self.bar.add_task("", total=total)
        self.bar.start()

    def draw(self, done: int, text: str) -> None:
        self.bar.update(self.task, completed=done, description=text)
        self.bar.refresh()

    def stop(self) -> None:
        self.bar.stop()


def rich_bar(total: int) -> RichBar | None:
    """A bar by rich, or None where it is not installed."""
    try:
        import rich.console
        import rich.progress
    except ImportError:
        return None
    return RichBar(rich.progress, rich.console.Console(stderr=True, force_terminal=True), total)
