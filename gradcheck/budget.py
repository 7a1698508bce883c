"""A limit on how long somebody's code may run.

The clock is looked at before each call of their code. Where the system has timers and nobody
else uses them, a call in the main thread is stopped in its midst, too. Compiled code that does
not come back to the interpreter cannot be stopped, nor code that catches everything.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import FrameType

import numpy as np

BUDGET = 60.0
"""Seconds, unless the caller says otherwise."""

AGAIN = 0.25
"""Seconds between two attempts to stop a call: code may catch the first, and an alarm that finds
the checker itself at work is put off."""

SOON, LATE = 1e-3, 1e8
"""Seconds between which a timer can be set: zero would stop it, and infinity is no time."""

HERE = str(Path(__file__).parent)

LIBRARIES = (str(Path(np.__file__).parent), str(Path(signal.__file__).parent))
"""NumPy and the standard library: called by the checker, they are not somebody's code."""

INSTALLED = "site-packages"
"""A folder inside that of the standard library in which other people's code is."""


class BudgetSpent(BaseException):
    """The time that the caller gave is over.

    No Exception: what catches those, in their code or in ours, must not go on.
    """

    def __init__(self, limit: "Limit", place: str = ""):
        self.limit = limit
        super().__init__(f"the budget of {limit.seconds:g} s is spent{place}")


@dataclass(frozen=True)
class Limit:
    """So many seconds, and the time of the monotonic clock at which they are over."""

    seconds: float
    deadline: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.deadline


LIMIT: ContextVar[Limit | None] = ContextVar("LIMIT", default=None)
"""The one in force."""


def check_time() -> None:
    """Raises `BudgetSpent` where the time is over: to be called before each call of their code."""
    limit = LIMIT.get()
    if limit is not None and limit.is_over:
        raise BudgetSpent(limit)


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Within, their code raises `BudgetSpent` after so many seconds; None changes nothing.

    Of two limits, one within the other, the one that ends first counts.
    """
    if seconds is not None and (not isinstance(seconds, Real) or seconds != seconds):
        raise TypeError(f"budget is {seconds!r}, expected seconds or None")
    outer = LIMIT.get()
    limit = None if seconds is None else Limit(seconds, time.monotonic() + seconds)
    if limit is None or (outer is not None and outer.deadline <= limit.deadline):
        yield
        return
    token = LIMIT.set(limit)
    try:
        with alarm(limit):
            yield
    finally:
        LIMIT.reset(token)


@contextmanager
def alarm(limit: Limit) -> Iterator[None]:
    """Stops their code at the deadline, wherever it is; only in the main thread of some systems."""
    if not may_use_timer():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        place = place_of_theirs(frame)
        if place:
            raise BudgetSpent(limit, f" ({place})")

    setattr(over, OURS, True)
    handler = signal.signal(signal.SIGALRM, over)
    began = time.monotonic()
    remaining = min(max(limit.deadline - began, SOON), LATE)
    before, interval = signal.setitimer(signal.ITIMER_REAL, remaining, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            passed = time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, max(before - passed, SOON), interval)


OURS = "__gradcheck_alarm__"


def may_use_timer() -> bool:
    """Whether there is a timer here, and nobody else's is running."""
    if not hasattr(signal, "setitimer"):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGALRM)
    is_running = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    return handler is not None and (not is_running or hasattr(handler, OURS))


def place_of_theirs(frame: FrameType | None) -> str:
    """file:line of their code that stands above the checker's innermost frame; "" for none."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(HERE):
            return ""
        if not is_library(file):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def is_library(file: str) -> bool:
    arrays, standard = LIBRARIES
    return file.startswith((arrays, "<frozen")) or (
        file.startswith(standard) and INSTALLED not in file
    )
