"""A budget is kept: by slow functions, and by calls that never return."""

import contextlib
import signal
import threading
import time

import numpy as np
import pytest

from gradcheck import check, check_module, check_network
from gradcheck.budget import BudgetSpent, check_time, limited

GRACE = 0.75
"""Seconds beyond a budget: one call, and what a busy machine adds."""

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-0.3, 0.8, 1.1], [0.9, -1.4, 0.2]])


class Affine:
    """y = x·W, each forward taking a while."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.W = np.array([[1.0, -2.0], [0.5, 3.0], [0.25, 1.0]])

    def forward(self, x):
        time.sleep(self.seconds)
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class EndlessBackward(Affine):
    def backward(self, dy):
        while True:
            pass


class Net:
    """One layer with softmax cross-entropy, as slow as it is told."""

    def __init__(self, seconds):
        self.layer = Affine(seconds)
        self.layer.b = np.array([[0.1, -0.2]])
        self.linear_layers = [self.layer]

    def zero_grads(self):
        pass

    def forward(self, x):
        self.output = self.layer.forward(x) + self.layer.b
        return self.output

    def backward(self, labels):
        e = np.exp(self.output - self.output.max(axis=1, keepdims=True))
        delta = (e / e.sum(axis=1, keepdims=True) - np.eye(2)[labels]) / len(labels)
        self.layer.dW = self.layer.x.T @ delta
        self.layer.db = delta.sum(axis=0, keepdims=True)


LABELS = np.array([0, 1, 1, 0])


@contextlib.contextmanager
def within(seconds):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_a_slow_layer_keeps_the_budget():
    layer = Affine(0.2)
    before = layer.W.copy()
    with within(1 + GRACE):
        report = check_module(layer, X, budget=1.0)
    assert report.verdict == "inconclusive"
    assert {f.name for f in report.findings} == {"x", "W"}
    assert "the budget of 1 s is spent" in str(report)
    assert np.array_equal(layer.W, before)
    assert not hasattr(layer, "x")


def test_a_slow_network_keeps_the_budget():
    net = Net(0.05)
    before = net.layer.W.copy()
    with within(1 + GRACE):
        report = check_network(net, X, LABELS, budget=1.0)
    assert report.verdict == "inconclusive"
    assert "the budget of 1 s is spent" in str(report)
    assert np.array_equal(net.layer.W, before)
    assert check_network(Net(0.0), X, LABELS, budget=None).verdict == "pass"


@pytest.mark.parametrize("call", ["check", "check_module"])
def test_a_call_that_never_returns_is_stopped(call):
    def endless(dy, x):
        while True:
            pass

    with within(0.5 + GRACE):
        if call == "check":
            report = check(np.square, endless, [X], budget=0.5)
        else:
            report = check_module(EndlessBackward(), X, budget=0.5)
    assert report.verdict == "inconclusive"
    assert "test_budget.py:" in str(report).replace("\n", "").replace(" ", "")


def test_code_that_catches_every_exception_is_stopped():
    def stubborn(x):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    with within(0.5 + GRACE):
        assert check(stubborn, lambda dy, x: dy, [X], budget=0.5).verdict == "inconclusive"


def test_a_mistake_that_was_seen_in_time_is_told():
    """The first array is wrong; measuring the second takes too long."""
    x, w = np.array([0.5, 2.0]), np.array([1.5, -0.7])

    def slow_where_w_moves(given, other):
        moved = abs(other - w).max()
        time.sleep(5.0 if 1e-12 < moved < 0.2 else 0.0)  # by a difference, not by rounding
        return given * other

    def wrong(dy, given, other):
        return 2 * dy * other, dy * given

    settings = {"budget": 1.0, "further_points": False, "cotangent": np.array([1.0, -2.0])}
    report = check(slow_where_w_moves, wrong, [x, w], ["x", "w"], **settings)
    assert {f.name: f.verdict for f in report.findings} == {"x": "fail", "w": "inconclusive"}


def test_of_two_limits_the_nearer_counts():
    with limited(0.2), limited(60.0):
        time.sleep(0.01)
        with pytest.raises(BudgetSpent, match="0.2 s"):
            time.sleep(10)
    check_time()
    with limited(60.0):
        with limited(0.05), pytest.raises(BudgetSpent, match="0.05 s"):
            time.sleep(10)
        check_time()  # the outer one goes on
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_timer_of_somebody_else_is_left_alone():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert check(np.square, lambda dy, x: 2 * x * dy, [X], budget=60.0)
        time.sleep(0.3)
        assert len(rung) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_other_threads_look_at_the_clock_between_calls():
    reports = []

    def slow(x):
        time.sleep(0.05)
        return x * x

    def run():
        reports.append(check(slow, lambda dy, x: 2 * x * dy, [X], budget=0.3))

    thread = threading.Thread(target=run)
    with within(0.3 + GRACE):
        thread.start()
        thread.join()
    assert reports[0].verdict == "inconclusive"


def test_no_budget_is_endless():
    with limited(None), limited(float("inf")):
        check_time()
