"""On a terminal: colours where rich is, where they are wanted; plain text elsewhere."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.render.text import report_text
from tests.gradcheck.render.samples import sample

ROOT = Path(__file__).parents[3]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def shown(terminal):
    sample().print(terminal)
    return terminal.getvalue()


def test_colours_and_a_heat_map_with_rich():
    pytest.importorskip("rich")
    text = shown(Terminal())
    assert "\x1b[1;31m" in text
    plain = ESCAPES.sub("", text)
    assert plain.startswith(report_text(sample(), 100))
    assert "analytic minus numeric in error bars" in plain
    assert "56 calls of forward, 1.50 s" in plain


def test_plain_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert shown(Terminal()) == report_text(sample(), 100) + "\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_plain_where_colours_are_not_wanted(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert shown(Terminal()) == report_text(sample(), 100) + "\n"


def test_plain_in_a_file(capsys):
    sample().print()
    assert capsys.readouterr().out == report_text(sample(), 100) + "\n"


def test_a_stream_that_knows_few_characters():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    sample().print(stream)
    stream.flush()
    assert b"numeric 1 ? 0.5" in stream.buffer.getvalue()


def test_nothing_is_imported_before_something_is_shown():
    code = (
        "import sys, gradcheck; gradcheck.check\n"
        "assert not [m for m in sys.modules if m.startswith(('rich', 'gradcheck.render', 'xml'))]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
