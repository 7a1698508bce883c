"""What check says of arguments that cannot be a check, and of functions that are odd."""

import re

import numpy as np
import pytest

from gradcheck import check

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
V = np.array([0.3, -0.7, 1.2])


def square(x):
    return x * x


def right(dy, x):
    return 2 * x * dy


WRONG = [
    ({"cotangent": np.ones(2)}, ValueError, "a cotangent has shape (2,), expected (2, 3)"),
    ({"cotangent": "a"}, TypeError, "a cotangent is 'a', expected real numbers"),
    ({"cotangent": (X, X)}, ValueError, "cotangent has 2 arrays, expected 1"),
    ({"cotangent": X * np.nan}, ValueError, "a cotangent is not finite"),
    ({"domain": {"q": (0, 1)}}, ValueError, "domain has 'q', expected one of x"),
    ({"domain": {"x": 3}}, ValueError, "domain of 'x' is 3, expected the least and the greatest"),
    ({"domain": {"x": (9, -9)}}, ValueError, "domain of 'x' is (9, -9), expected the least"),
    ({"domain": {"x": (5, 6)}}, ValueError, "x is outside its domain, from 5 to 6"),
    ({"domain": [(0, 1)]}, TypeError, "domain is [(0, 1)], expected as in {'x': (0.0, 1.0)}"),
    ({"twin": 3}, TypeError, "twin is 3, expected a function"),
    ({"budget": "a"}, TypeError, "budget is 'a', expected seconds or None"),
    ({"budget": np.nan}, TypeError, "budget is nan, expected seconds or None"),
    ({"seed": -1}, TypeError, "seed is -1, expected a whole number from 0 on"),
    ({"inputs": [X, X], "names": ["x", "x"]}, ValueError, "names has 'x' twice"),
]


@pytest.mark.parametrize(("changed", "error", "message"), WRONG)
def test_arguments_that_cannot_be_checked(changed, error, message):
    given = {"inputs": [X], "names": ["x"]} | changed
    backward = right if len(given["inputs"]) == 1 else (lambda dy, a, b: (dy, dy))
    forward = square if len(given["inputs"]) == 1 else np.add
    with pytest.raises(error, match=re.escape(message)):
        check(forward, backward, **given)


class Mute(Exception):  # noqa: N818
    """An exception that cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


def raise_mute(dy, x):
    raise Mute


def alternating():
    """Two outputs in one call, one in the next."""
    state = [0]

    def forward(x):
        state[0] += 1
        return (x, x) if state[0] % 2 else x

    return forward


ODD = {
    "a generator": (square, lambda dy, x: (g for g in [x]), "fail", "it gives <generator"),
    "a dictionary": (square, lambda dy, x: {"x": x}, "fail", "it gives {'x': array("),
    "no output": (lambda x: (), lambda dy, x: x, "inconclusive", "it gives no output"),
    "outputs that vary": (
        alternating(),
        right,
        "inconclusive",
        "it gives 1 outputs, before",
    ),
    "an exception without words": (square, raise_mute, "fail", "backward raised Mute"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_functions_are_told_and_raise_nothing(name):
    forward, backward, verdict, told = ODD[name]
    report = check(forward, backward, [X], ["x"])
    assert report.verdict == verdict
    assert told in report.findings[0].note


@pytest.mark.parametrize("x", [X, V], ids=["table", "vector"])
def test_a_list_of_numbers_is_the_gradient_of_the_only_input(x):
    assert check(square, lambda dy, x: (2 * x * dy).tolist(), [x], ["x"])
    assert check(square, lambda dy, x: [2 * x * dy], [x], ["x"])
    assert not check(square, lambda dy, x: (3 * x * dy).tolist(), [x], ["x"])


TWINS = {
    "raises": (lambda x: 1 / 0, "twin raised ZeroDivisionError"),
    "other shape": (lambda x: x[0], "it gives 3 numbers, forward 6"),
    "nothing": (lambda x: None, "twin raised TypeError: output 0 is None"),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_that_is_none_is_told(name):
    twin, told = TWINS[name]
    report = check(square, right, [X.astype(np.float32)], ["x"], twin=twin)
    assert report.verdict == "inconclusive"
    assert told in report.findings[0].note
