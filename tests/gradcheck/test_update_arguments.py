"""What check_update says of arguments that cannot be a check, and of steps that give nonsense."""

import re
import time

import numpy as np
import pytest

from gradcheck import check_update
from gradcheck.update import check_step


def descend(w, g):
    return w - 0.1 * g


class Sliced:
    """An optimiser that loses a row of its parameter."""

    def __init__(self):
        self.W, self.dW, self.lr = np.ones((2, 2)), np.ones((2, 2)), 0.1

    def step(self):
        self.W = self.W[:1] - self.lr * self.dW[:1]


WRONG = [
    ({"lr": "a"}, TypeError, "lr is 'a', expected a finite number"),
    ({"lr": np.inf}, TypeError, "lr is inf, expected a finite number"),
    ({"rate": 1}, TypeError, "no setting 'rate', expected one of lr, momentum"),
    ({"shapes": [3]}, ValueError, "shapes[0] is 3, expected a tuple of sizes"),
    ({"shapes": [(2,), (0,)]}, ValueError, "shapes[1] is (0,), expected a tuple of sizes"),
    ({"shapes": []}, ValueError, "shapes is [], expected shapes"),
    ({"steps": "a"}, TypeError, "steps is 'a', expected a whole number"),
    ({"state": 3}, TypeError, "state is 3, expected a function that makes one"),
    ({"parameters": 3}, TypeError, "parameters is 3, expected a dictionary"),
    ({"decay_way": "x"}, ValueError, "decay_way is 'x', expected one of L2, decoupled"),
    ({"step": None}, TypeError, "step is None, expected a function step(w, g)"),
]


@pytest.mark.parametrize(("changed", "error", "message"), WRONG)
def test_arguments_that_cannot_be_checked(changed, error, message):
    given = {"step": descend, "lr": 0.1} | changed
    with pytest.raises(error, match=f"check_update: {re.escape(message)}"):
        check_update(**given)


NONSENSE = [
    (lambda w, g: "x", "the step gives 'x', expected a parameter of shape (3, 4)"),
    (lambda w, g: [[1], [2, 3]], "the step gives [[1], [2, 3]], expected a parameter"),
    (lambda w, g: (), "the step gives shape (0,), expected a parameter of shape (3, 4)"),
    (lambda w, g: w[:1], "the step gives shape (1, 4), expected a parameter of shape (3, 4)"),
    (lambda w, g: 1 / 0, "the step raised ZeroDivisionError: division by zero"),
    (Sliced(), "the step gives shape (1, 2), expected a parameter of shape (2, 2)"),
]


@pytest.mark.parametrize(("step", "message"), NONSENSE)
def test_a_step_that_gives_nonsense_is_a_finding(step, message):
    report = check_update(step, lr=0.1)
    assert report.verdict == "fail"
    assert message in report.findings[0].note


def test_a_slow_step_keeps_the_budget():
    began = time.monotonic()
    report = check_update(lambda w, g: time.sleep(10), lr=0.1, budget=0.3)
    assert time.monotonic() - began < 1
    assert report.verdict == "inconclusive"


class Unfinished(Sliced):
    """A network whose forward is not written yet."""

    def zero_grads(self):
        pass

    def forward(self, x):
        raise NotImplementedError("to do")


def test_a_network_that_raises_before_its_step_is_a_finding():
    report = check_step(Unfinished(), np.ones((2, 2)), np.array([0, 1]), lr=0.1)
    assert report.verdict == "fail"
    assert "forward raised NotImplementedError: to do" in report.findings[0].note
