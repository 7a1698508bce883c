"""The edit that mends a gradient, as each kind of report shows it."""

from dataclasses import replace

import pytest

from gradcheck.verdict import Cause, Finding, Fix, Report

FIX = Fix("/home/somebody/layer.py", 12, "dx = dy @ w", "dx = dy @ w.T")


def report(fix):
    cause = Cause("transposed", 0.9, "the transpose is meant", fix)
    return Report("affine", 0, (Finding("x", "fail", causes=(cause,)),))


@pytest.mark.parametrize(
    ("fix", "text"),
    [
        (FIX, "layer.py:12: `dx = dy @ w` → right as `dx = dy @ w.T`"),
        (replace(FIX, before=""), "layer.py:12: right with `dx = dy @ w.T` before this line"),
        (replace(FIX, after=""), "layer.py:12: right without `dx = dy @ w`"),
    ],
)
def test_text(fix, text):
    assert text in str(report(fix))


def test_html_escapes_the_lines_and_marks_them():
    page = report(replace(FIX, after="dx = dy * (x < 0)"))._repr_html_()
    assert "<del><code>dx = dy @ w</code></del>" in page
    assert "<ins><code>dx = dy * (x &lt; 0)</code></ins>" in page


def test_json():
    found = report(FIX).to_dict()["causes"][0]
    assert found["fix"] == {
        "file": "/home/somebody/layer.py",
        "line": 12,
        "before": "dx = dy @ w",
        "after": "dx = dy @ w.T",
    }
    assert "fix" not in report(None).to_dict()["causes"][0]
