"""The page: self-contained, well-formed, with the study's numbers."""

import json
import re
from html.parser import HTMLParser

import pytest

from mlp.__main__ import main
from mlp.stress import run
from mlp.stress.cell import problem
from mlp.stress.grid import Grid
from mlp.stress.page import page

VOID = {"meta"}


class Balanced(HTMLParser):
    """Each element that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def text():
    return page(run(passes=30, remedies=True))


def test_it_tells_the_toys_explosion(text):
    for words in ("After 7 passes", "The exponent doubles every pass", "1.5e+03", "5.2e+173",
                  "clear after pass 2", "float32 ends here", "float64 ends here", "clipping",
                  "layer 3&#x27;s preactivation, pass 7"):  # fmt: skip
        assert words in text, words


def test_nothing_of_it_is_elsewhere(text):
    names = {name for name, _ in parsed(text).attributes}
    assert not names & {"src", "href", "srcset", "onload"}
    assert not re.search(r"https?:|url\(|@import|<script|<link", text)
    assert "prefers-color-scheme: dark" in text


def test_a_run_that_stays_finite():
    text = page(run(activation="tanh", passes=5))
    parsed(text)
    assert "5 passes, and every number stays finite" in text
    assert "not finite</h2>" not in text


@pytest.mark.parametrize("depth", [1, 40])
def test_other_networks(depth):
    (cell,) = Grid(depth=(depth,), width=(4,), seeds=1, batch=4)
    for passes in (1, 3):
        text = page(run(*problem(cell), passes=passes))
        parsed(text)
        assert text.count("<rect") == depth * passes


def test_options(tmp_path, capsys):
    place, picture = tmp_path / "page.html", tmp_path / "a.png"
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert main(["stress", "--chart", "--html", str(place), "--png", str(picture)]) == 0
    assert "overflow of float64 in pass 7" in capsys.readouterr().out
    parsed(place.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["stress", "--json", "--html", str(place)]) == 0
    assert json.loads(capsys.readouterr().out)["overflow_pass"] == 7
    assert main(["stress", "--html", str(tmp_path / "missing" / "page.html")]) == 2
    assert "page.html cannot be written: No such file" in capsys.readouterr().err
