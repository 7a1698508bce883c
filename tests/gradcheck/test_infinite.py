"""An infinite derivative is no mistake where there is one; where there is none, it is."""

import numpy as np
import pytest

from gradcheck import check

X = np.array([0.0, 1.0, 4.0])


def x_log_x(x):
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)


INFINITE_AT_ZERO = {
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2)),
    "x log x": (x_log_x, lambda x: np.log(x) + 1),
}


@pytest.mark.parametrize("name", INFINITE_AT_ZERO)
def test_a_derivative_that_is_infinite_is_stepped_around(name, seed):
    forward, derivative = INFINITE_AT_ZERO[name]
    domain = {"x": (0.0, np.inf)}
    report = check(forward, lambda dy, x: dy * derivative(x), [X], ["x"], seed, domain=domain)
    assert report.verdict == "pass", str(report)
    assert "the derivative is infinite at (0,): stepped around" in report.findings[0].note


def test_the_other_entries_are_still_checked():
    report = check(np.sqrt, lambda dy, x: dy * 0.4 / np.sqrt(x), [X], ["x"])
    assert report.verdict == "fail"
    assert report.findings[0].where in ("(1,)", "(2,)")


def test_a_large_array_is_checked_beside_the_entry():
    x = np.append(np.linspace(0.1, 2.0, 100), 0.0)
    assert check(np.sqrt, lambda dy, x: dy * 0.5 / np.sqrt(x), [x], ["x"])
    assert not check(np.sqrt, lambda dy, x: dy * 0.5001 / np.sqrt(x), [x], ["x"])


def test_no_entry_left_is_inconclusive():
    report = check(np.sqrt, lambda dy, x: dy * 0.5 / np.sqrt(x), [np.zeros(3)], ["x"],
                   further_points=False)  # fmt: skip
    assert report.verdict == "inconclusive"
    assert "infinite at every entry" in report.findings[0].note


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_a_smooth_function_has_no_infinite_derivative(wrong):
    report = check(np.square, lambda dy, x: np.where(x == 0, wrong, 2 * x * dy), [X], ["x"])
    assert report.verdict == "fail"
    assert "not finite, where forward is" in report.findings[0].note


def test_the_sign_of_infinity_counts():
    report = check(np.sqrt, lambda dy, x: -dy * 0.5 / np.sqrt(x), [X], ["x"])
    assert report.verdict == "fail"
