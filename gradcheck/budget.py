"""A limit on how long somebody's code may run, where the system has a timer."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTimeError(Exception):
    """The time is over, in the middle of their code."""


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raises `OutOfTimeError` in whatever runs after so many seconds.

    Timers belong to the main thread; elsewhere, and on systems without them, nothing is limited.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if seconds is None or not is_main or not hasattr(signal, "setitimer"):
        yield
        return

    def over(*_: Any) -> None:
        raise OutOfTimeError(f"stopped after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    # Again every second: code that catches everything is stopped the next time.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
