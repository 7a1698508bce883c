"""What the terminal shows of training, and that it costs next to nothing."""

import io
import sys

import numpy as np
import pytest

from mlp import MLP, progress
from mlp.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Called in the test, because pytest puts a stderr of its own there before each."""

    def open_it():
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        monkeypatch.setenv("TERM", "xterm")
        return found

    return open_it


def train(**options):
    rng = np.random.default_rng(0)
    net = MLP(2, 2, [4])
    return net.fit(rng.standard_normal((64, 2)), rng.integers(0, 2, 64), epochs=3, **options)


def test_one_line_without_rich(open_terminal, monkeypatch):
    terminal = open_terminal()
    monkeypatch.setattr(progress, "rich_bar", lambda total: None)
    monkeypatch.setattr(progress, "SHORTEST_WAIT", 0)
    monkeypatch.setattr(progress, "WAIT", 0)
    train()
    text = terminal.getvalue()
    assert "\n" not in text
    assert "epoch 1/3" in text
    assert "100%  epoch 3/3  loss 0." in text
    assert text.endswith("\r\033[K")


def test_a_bar_with_rich(open_terminal, monkeypatch):
    terminal = open_terminal()
    pytest.importorskip("rich")
    monkeypatch.setattr(progress, "SHORTEST_WAIT", 0)
    monkeypatch.setattr(progress, "WAIT", 0)
    train()
    assert "epoch 3/3" in terminal.getvalue()


def test_rich_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert progress.rich_bar(3) is None


def test_silent_where_there_is_no_terminal_or_none_is_wanted(open_terminal, monkeypatch):
    terminal = open_terminal()
    train(progress=False)
    assert terminal.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    train()
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)  # pythonw has none
    train()


def test_shown_where_it_is_asked_for(capsys):
    train(progress=True)
    assert "epoch 1/3" in capsys.readouterr().err


def test_the_line_goes_when_training_is_interrupted(open_terminal, monkeypatch):
    terminal = open_terminal()
    monkeypatch.setattr(progress, "rich_bar", lambda total: None)

    def interrupted():
        with Progress(3, visible=True) as shown:
            shown.update(1, lambda: "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue() == "\r\033[K 33%  half\r\033[K"


def test_drawing_takes_at_most_a_hundredth_of_the_time(monkeypatch):
    """A clock of our own: drawing takes 0.02 s, a slice of training 0.01 s."""
    now, drawn = [0.0], []

    class Slow:
        def draw(self, done, text):
            drawn.append(done)
            now[0] += 0.02

        def stop(self):
            pass

    monkeypatch.setattr(progress, "rich_bar", lambda total: Slow())
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with Progress(10_000, visible=True) as shown:
        for i in range(10_000):
            now[0] += 0.01
            shown.update(i, str)
    assert 0.02 * len(drawn) <= 0.011 * now[0]
    assert len(drawn) > 40
