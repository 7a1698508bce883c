"""Progress: told to whoever asks, shown on a terminal after a second, silent elsewhere."""

import io

import numpy as np

from gradcheck import check, progress
from gradcheck.progress import CLEAR, Meter, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


def metered(monkeypatch, stream):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setenv("TERM", "xterm")
    return clock, Meter(stream)


def test_a_line_after_a_second_that_goes_again(monkeypatch):
    stream = Terminal()
    clock, meter = metered(monkeypatch, stream)
    meter("w", 10, 3000)
    assert stream.getvalue() == ""
    clock.now += 4.1
    meter("w", 1200, 3000)
    assert stream.getvalue() == f"{CLEAR}w: 1,200 of 3,000 places, 4.1 s"
    meter("w", 1201, 3000)  # too soon
    meter("w", 3000, 3000)
    assert stream.getvalue() == f"{CLEAR}w: 1,200 of 3,000 places, 4.1 s{CLEAR}"


def test_silent_where_there_is_no_terminal(monkeypatch):
    stream = io.StringIO()
    clock, meter = metered(monkeypatch, stream)
    clock.now += 60
    meter("w", 1, 2)
    assert stream.getvalue() == ""


def test_the_last_call_comes_also_when_measuring_ends_early():
    calls = []
    for place in tracked("w", "abc", lambda *call: calls.append(call)):
        if place == "b":
            break
    assert calls == [("w", 0, 3), ("w", 1, 3), ("w", 3, 3)]


def test_a_check_tells_how_far_it_is():
    calls = []
    check(
        np.sin,
        lambda dy, x: (dy * np.cos(x),),
        [np.linspace(0.1, 1.0, 5)],
        ["x"],
        further_points=False,
        progress=lambda *call: calls.append(call),
    )
    assert calls == [("x", done, 5) for done in range(6)]
