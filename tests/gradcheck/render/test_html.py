"""The page: well formed, self-contained, and with the right cells."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from gradcheck import Finding, Report
from tests.gradcheck.render.samples import WRONG, detail, sample

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Tags with attributes, the text, and whether everything that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def classes(self):
        return [a.get("class", "") for tag, a in self.tags if tag == "rect" and "height" in a]


def page_of(report, folder):
    path = folder / "report.html"
    report.to_html(path)
    return path.read_text(encoding="utf-8")


def test_the_page_says_all(tmp_path):
    page = Page(page_of(sample(), tmp_path))
    for expected in (
        "layer", "fail", "1,234 comparisons, 56 calls of forward, 1.50 s, seed 7", "a note",
        "analytic 3, numeric 1 ± 0.5", "off by 2, 4 error bars", "a kink: slopes 0 and 1",
        "transposed", "dW = xᵀ·dy", "somebody adds <later> & escapes", "kink-convention",
        "[0, 1] analytic 3, numeric 1 ± 0.5: 4 error bars", "not measured",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert "the fourth" not in page.text
    order = [page.text.index(word) for word in ("off by 2", "not finite around here", "(2,)")]
    assert order == sorted(order)


def test_nothing_is_loaded_from_anywhere(tmp_path):
    text = page_of(sample(), tmp_path)
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img|src=", text)
    assert "prefers-color-scheme: dark" in text


def test_cells_have_the_colour_of_their_excess():
    excess = [[0.5, -2.0, np.nan], [2e3, -2e6, 2e9]]
    finding = Finding("w", "fail", detail=detail(excess))
    page = Page(Report("r", 0, (finding,))._repr_html_())
    cells = page.classes()[:6]
    assert cells == [
        "cell level-0", "cell less-1", "unknown", "cell more-2", "cell less-3", "cell more-4",
    ]  # fmt: skip


def test_every_colour_has_a_rule():
    text = sample()._repr_html_()
    for name in {word for kind in Page(text).classes() for word in kind.split()} - {"cell"}:
        assert f".gradcheck .{name} {{" in text


def test_names_are_escaped():
    evil = "<script>alert(1)</script>"
    finding = Finding(evil, "fail", evil, 2.0, 1.0, 0.1, evil, detail=WRONG.detail)
    report = Report(evil, 0, (finding,), notes=(evil,))
    assert "<script" not in report._repr_html_()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3, 4), (500, 500), (100_000,)])
def test_any_shape(shape):
    numbers = detail(np.full(shape, 2.0))
    page = Page(Report("r", 0, (Finding("w", "fail", detail=numbers),))._repr_html_())
    assert len(page.classes()) < 64 * 64 + 20


def test_extremes_warn_of_nothing():
    numbers = detail([1e308, -1e308, np.inf, 0.0], bar=1e-300)
    text = Report("r", 0, (Finding("w", "fail", detail=numbers),))._repr_html_()
    assert "beyond number" in text
