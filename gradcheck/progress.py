"""What is under way, for checks that take long: a line on a terminal, nothing elsewhere.

Whatever is called as `progress(name, done, total)` will do: `done` of `total` places of the array
`name` are measured. `done == total` is its last call for that array.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO, TypeVar

Progress = Callable[[str, int, int], None]

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds of a check before anything is shown."""

INTERVAL = 0.1
"""Seconds between two lines."""

CLEAR = "\r\033[K"


def silent(name: str, done: int, total: int) -> None:
    """Show nothing."""


class Meter:
    """'w: 1,200 of 3,000 places, 4.1 s' on a terminal's stderr, in one line that goes again."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = sys.stderr if stream is None else stream
        self.began = time.perf_counter()
        self.next = self.began + PATIENCE
        self.is_shown = False
        self.is_terminal = (
            self.stream is not None and self.stream.isatty() and os.environ.get("TERM") != "dumb"
        )

    def __call__(self, name: str, done: int, total: int) -> None:
        if not self.is_terminal:
            return
        now = time.perf_counter()
        if done == total:
            self.clear()
        elif now >= self.next:
            self.next, self.is_shown = now + INTERVAL, True
            line = f"{name}: {done:,} of {total:,} places, {now - self.began:.1f} s"
            self.stream.write(CLEAR + line)
            self.stream.flush()

    def clear(self) -> None:
        if self.is_shown:
            self.stream.write(CLEAR)
            self.stream.flush()
            self.is_shown = False


def tracked(name: str, places: Sequence[T], progress: Progress) -> Iterator[T]:
    """The places, one by one, and before each a word to `progress`; one after the last."""
    total = len(places)
    try:
        for done, place in enumerate(places):
            progress(name, done, total)
            yield place
    finally:
        progress(name, total, total)
