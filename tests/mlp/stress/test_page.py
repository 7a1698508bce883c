"""The page: self-contained, well-formed, with the study's numbers."""

import json
import re
from html.parser import HTMLParser

import pytest

from mlp.__main__ import main
from mlp.stress import run
from mlp.stress.cell import problem
from mlp.stress.grid import Grid
from mlp.stress.page import STYLE, page

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


def luminance(color):
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(mode):
    """4.5 to 1 for text, 3 to 1 for lines that carry meaning (WCAG 2.2, 1.4.3 and 1.4.11)."""
    colors = dict(re.findall(r"--(\w+): (#\w{6})", STYLE.split("@media")[mode].split("* {")[0]))
    for behind in ("paper", "card"):
        for name in ("ink", "soft", "red", "good", "blue", "orange"):
            dark, light = sorted(luminance(colors[which]) for which in (name, behind))
            least = 3 if name in ("blue", "orange") else 4.5
            assert (light + 0.05) / (dark + 0.05) >= least, (name, behind)


def test_what_is_not_finite_is_not_told_by_colour_alone(text):
    assert text.count('class="cross"') == text.count('class="bad"') == 3
