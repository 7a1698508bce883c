"""What somebody's code prints goes to stderr, since stdout is for results; it can close neither."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO


class Shielded(io.TextIOBase):
    """A stream that passes everything on, but for `close`."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def close(self) -> None:
        self.flush()


@contextmanager
def to_stderr() -> Iterator[None]:
    """Within, both streams are stderr."""
    if sys.stderr is None or isinstance(sys.stderr, Shielded):
        with redirect_stdout(sys.stderr):
            yield
        return
    shielded = Shielded(sys.stderr)
    with redirect_stdout(shielded), redirect_stderr(shielded):
        yield
