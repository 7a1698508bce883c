"""Plain text: the order of what is said, the width, one line for `repr`."""

import numpy as np
import pytest

from gradcheck import Finding, Report, check
from gradcheck.render.text import report_text
from tests.gradcheck.render.samples import sample

EXPECTED = """\
layer: fail (1,234 comparisons, seed 7)
  a note
  fail         w  (0, 1): analytic 3, numeric 1 ± 0.5
               off by 2, 4 error bars
               one of 3 entries that were measured is off: [0, 1]
               a kink: slopes 0 and 1
               1. transposed (80%): the transpose of the right one: dW = xᵀ·dy
               2. sign-flipped (40%): every entry has the wrong sign: −(dw) instead of dw
               3. not-in-any-table (30%): a cause that somebody adds <later> & escapes
  inconclusive b
               forward is not finite around here
  pass         x  (2,): analytic 1, numeric 1 ± 0.5
  convention   kink-convention: a choice: 0"""


def test_the_whole_of_it():
    assert report_text(sample(), 100) == EXPECTED


@pytest.mark.parametrize("width", [10, 40, 60, 80])
def test_lines_are_as_wide_as_they_may_be(width):
    text = report_text(sample(), width)
    assert text.split() == EXPECTED.split()
    assert max(map(len, text.splitlines())) <= max(width, 46)


def test_the_terminals_width_counts(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, str(sample()).splitlines())) <= 60


def test_repr_is_one_short_line():
    expected = "<layer: fail; w (0, 1) analytic 3, numeric 1 ± 0.5; looks like transposed; seed 7>"
    assert repr(sample()) == expected
    assert repr(Report("empty", 0)) == "<empty: inconclusive; seed 0>"
    long = Report("r", 0, (Finding("x", "fail", note="much " * 99),))
    assert len(repr(long)) < 200


def test_numbers_that_are_none_are_not_shown():
    report = Report(
        "r", 0, (Finding("x", "fail", "(0,)", np.nan, note="the gradient is not finite"),)
    )
    assert "nan" not in str(report)
    infinite = Report("r", 0, (Finding("x", "fail", "(0,)", np.inf, 1.0, 0.0),))
    assert "analytic inf, numeric 1" in str(infinite)
    assert "off by" not in str(infinite)


def test_a_real_one():
    report = check(np.sin, lambda dy, x: (dy * np.sin(x),), [np.linspace(1, 2, 4)], ["x"])
    lines = str(report).splitlines()
    assert lines[0] == "check: fail (4 comparisons, seed 0)"
    assert lines[1].startswith("  fail         x  (")
    assert lines[2].startswith("               off by ")
    assert any(line.startswith("               1. ") for line in lines)
