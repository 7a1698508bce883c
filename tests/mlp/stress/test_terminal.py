"""Charts as text."""

import io
import sys

import numpy as np
import pytest

from mlp.stress import run
from mlp.stress.terminal import explosion, line_chart


def test_ascii_by_hand():
    chart = line_chart({"up": np.array([0.0, 1, 2, 3])}, 24, 4, unicode=False)
    rows = chart.splitlines()
    assert rows[0].startswith("1e3|") and rows[0].endswith("*")  # noqa: PT018
    assert rows[3].startswith("1e0|*")
    assert rows[4] == "   +" + "-" * 19
    assert rows[5].split() == ["1", "x", "4"]
    assert rows[6] == "* up"


def test_braille_by_hand():
    """One dot: the lowest left of the last row's first character is dot 7, U+2840."""
    chart = line_chart({"dot": np.array([0.0, np.nan])}, 24, 3, unicode=True)
    assert "⡀" in chart.splitlines()[2]
    assert sum("⠀" < c <= "⣿" for c in chart) == 1


@pytest.mark.parametrize("width", [1, 24, 40, 79, 100, 500])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_asked(width, unicode):
    text = explosion(run(passes=30), width, unicode=unicode)
    longest = max(map(len, text.splitlines()[:-2]))
    assert longest <= max(min(width, 100), 24)
    assert "overflow of float64 in pass 7" in text
    assert text.isascii() is not unicode


@pytest.mark.parametrize(("encoding", "is_ascii"), [("utf-8", False), ("ascii", True),
                                                  ("latin-1", True)])  # fmt: skip
def test_what_the_encoding_lacks_is_not_used(monkeypatch, encoding, is_ascii):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert line_chart({"a": np.arange(3.0)}, 30).isascii() is is_ascii


def test_nothing_finite():
    assert line_chart({"a": np.array([np.nan, np.inf])}, 30) == "nothing finite to draw"


def test_one_point():
    assert "*" in line_chart({"a": np.array([2.0])}, 30, unicode=False)
