"""How far a run has come: a line on a terminal, nothing anywhere else."""

import os
import sys
from types import TracebackType
from typing import Any

WIDTH = 30


class Progress:
    """`progress(k, name)` before case k; rich's bar where rich is installed.

    Used as a context, so that the line is gone at the end.
    """

    def __init__(self, total: int):
        self.total = total
        stream = sys.stderr
        self.is_shown = (
            stream is not None
            and stream.isatty()
            and os.environ.get("TERM") != "dumb"
            and total > 1
        )
        self.bar: Any = None

    def __enter__(self) -> "Progress":
        if self.is_shown:
            self.bar, self.task = rich_bar(self.total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
        elif self.is_shown:
            self.write("\r\033[K")

    def __call__(self, k: int, name: str) -> None:
        if not self.is_shown:
            return
        if self.bar is not None:
            self.bar.update(self.task, completed=k, description=name[:WIDTH])
            return
        done = "#" * (WIDTH * k // self.total)
        self.write(f"\r\033[K[{done:<{WIDTH}}] {k}/{self.total} {name[:WIDTH]}")

    @staticmethod
    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def rich_bar(total: int) -> tuple[Any, Any]:
    """A bar of rich's on stderr that goes away, and its task; None without rich."""
    try:
        from rich.console import Console
        from rich.progress import Progress as Bar
    except ImportError:
        return None, None
    bar = Bar(console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=total)
    bar.start()
    return bar, task
