"""Subject: calls with care."""

import time

import numpy as np
import pytest

from gradcheck import check, check_gradient
from gradcheck.budget import BudgetSpent, limited
from gradcheck.subject import Raised, Subject


def square(x):
    return x * x


def twice(dy, x):
    return (2 * dy * x,)


def test_arguments_are_copies_and_what_is_spoilt_is_noted():
    def forward(x):
        x *= 2
        return x

    def backward(dy, x):
        dy += 1
        return (2 * dy,)

    x, dy = np.ones(3), np.ones(3)
    subject = Subject(forward, backward, ["x"])
    subject.gradients([dy], [x])
    assert (x == 1).all()
    assert (dy == 1).all()
    assert subject.spoilt == {("forward", "x"), ("backward", "x"), ("backward", "dy")}
    assert (subject.forward_calls, subject.backward_calls) == (1, 1)


def test_an_exception_names_the_call_and_the_place():
    subject = Subject(lambda x: 1 / x[5], twice, ["x"])
    with pytest.raises(Raised, match=r"forward raised IndexError: .*test_subject\.py:\d+"):
        subject.outputs([np.ones(3)])
    subject = Subject(square, lambda dy, x: (dy, dy), ["x"])
    with pytest.raises(Raised, match="it gives 2 gradients, expected 1"):
        subject.gradients([np.ones(3)], [np.ones(3)])


def test_gradients_of_floating_inputs_may_come_alone():
    labels = np.array([0, 1])
    subject = Subject(lambda z, y: z[:, 0] * y, lambda dy, z, y: (z,), ["z", "labels"])
    z = np.ones((2, 3))
    assert subject.gradients([np.ones(2)], [z, labels])[1] is None


def test_the_budget_ends_a_check_with_what_is_known():
    def slow(x):
        time.sleep(0.02)
        return x * x

    start = time.monotonic()
    report = check(slow, twice, [np.linspace(1, 2, 50)], ["x"], budget=0.5)
    assert time.monotonic() - start < 1.5
    assert report.verdict == "inconclusive"
    assert "budget of 0.5 s" in str(report)
    subject = Subject(square, twice, ["x"])
    with limited(-1.0), pytest.raises(BudgetSpent):
        subject.outputs([np.ones(2)])


def test_exceptions_are_part_of_the_report(rng):
    x = rng.standard_normal(4)

    def unfinished(dy, x):
        raise NotImplementedError("to do")

    report = check(square, unfinished, [x], ["x"])
    assert report.verdict == "fail"
    assert "backward raised NotImplementedError: to do" in str(report)
    report = check(lambda x: np.linalg.inv(np.zeros((2, 2))), twice, [x], ["x"])
    assert report.verdict == "inconclusive"
    assert "forward raised LinAlgError" in str(report)
    report = check_gradient(lambda x: x, lambda x: x, [x], ["x"])
    assert "expected one number" in str(report)
