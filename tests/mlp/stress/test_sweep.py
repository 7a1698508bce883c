"""Sweeps, killed and resumed: the same file as without."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlp.__main__ import main
from mlp.stress.cell import measure
from mlp.stress.grid import Grid
from mlp.stress.store import read
from mlp.stress.sweep import sweep
from tests.interrupts import interruptible

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes

ROOT = Path(__file__).parents[3]
OPTIONS = ["--init", "he,normal:2", "--activation", "relu,tanh", "--depth", "1,4", "--width", "8",
           "--seeds", "25", "--passes", "4", "--batch", "4"]  # fmt: skip
GRID = Grid(init=("he", "normal:2"), activation=("relu", "tanh"), depth=(1, 4), width=(8,),
            seeds=25, passes=4, batch=4)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of the sweep, uninterrupted."""
    path = tmp_path_factory.mktemp("sweep") / "whole.jsonl"
    swept = sweep(GRID, path)
    assert (swept.cells, swept.found, swept.run) == (200, 0, 200)
    return sorted(path.read_bytes().splitlines())


def lines(path):
    return sorted(path.read_bytes().splitlines())


def begun(path, at_least, *options):
    """A process that sweeps, once it has written so many lines."""
    command = [sys.executable, "-m", "mlp", "stress", "sweep", *OPTIONS, "--out", str(path)]
    with interruptible():
        process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE,
                                   text=True, stdout=subprocess.PIPE)  # fmt: skip
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < at_least:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def test_results_are_those_of_the_cells(whole):
    found = {line["key"]: line["result"] for line in map(json.loads, whole) if "key" in line}
    for cell in list(GRID)[::40]:
        assert found[cell.key] == measure(cell)
    assert len(found) == GRID.count == 200


def test_nothing_is_run_twice(tmp_path, whole, monkeypatch):
    path = tmp_path / "results.jsonl"
    sweep(GRID, path)
    monkeypatch.setattr("mlp.stress.sweep.measure", None)
    swept = sweep(GRID, path)
    assert (swept.found, swept.run) == (200, 0)
    assert lines(path) == whole


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_and_resumed(tmp_path, whole, jobs):
    """kill -9, twice; then to the end."""
    path = tmp_path / "results.jsonl"
    for at_least in (20, 60):
        process = begun(path, at_least, "--jobs", jobs)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    kept = path.read_bytes().count(b"\n") - 1
    assert 59 <= kept < 200
    swept = sweep(GRID, path)
    assert (swept.found, swept.run) == (kept, 200 - kept)
    assert lines(path) == whole


def test_interrupted(tmp_path, whole):
    """Ctrl-C: exit 130, what is done is on disk, and it goes on from there."""
    path = tmp_path / "results.jsonl"
    process = begun(path, 20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines() == [
        f"mlp: what is done is in {path}; the same command goes on", "mlp: interrupted"
    ]  # fmt: skip
    kept = len(read(path)[1])
    assert 19 <= kept < 200
    assert sweep(GRID, path).found == kept
    assert lines(path) == whole


@pytest.mark.skipif(os.name == "nt", reason="process groups are of POSIX")
def test_interrupted_with_workers(tmp_path):
    """A terminal sends Ctrl-C to every process: the workers leave it to their parent."""
    path = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "mlp", "stress", "sweep", *OPTIONS, "--jobs", "2"]
    with interruptible():
        process = subprocess.Popen([*command, "--out", str(path)], cwd=ROOT, text=True,
                                   stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    while not path.exists() or path.read_bytes().count(b"\n") < 20:
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert len(read(path)[1]) >= 19


def test_command(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    arguments = ["stress", "sweep", "--depth", "1..3", "--width", "4", "--seeds", "1", "--passes",
                 "1", "--out", str(path)]  # fmt: skip
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"3 cells in {path}: 3 run\n"
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--depth", "1..1000000000"], "got 1,000,000,000 cells"),
        (["--depth", "0"], "depth is 0, expected at least 1"),
        (["--width", "0"], "width is 0, expected at least 1"),
        (["--width", "8,x"], "--width has 'x', expected a whole number"),
        (["--lr", "0.1,fast"], "--lr has 'fast', expected a number"),
        (["--passes", "0"], "passes is 0, expected at least 1"),
        (["--init", "xaver"], "init is 'xaver'"),
        (["--activation", "than"], "did you mean 'tanh'?"),
        (["--jobs", "0"], "jobs is 0, expected at least 1"),
        (["--dtype", "float16"], "expected float32 or float64"),
        (["--out", "/dev/null/results.jsonl"], "cannot be written: Not a directory"),
    ],
)
def test_bad_options(tmp_path, capsys, options, message):
    path = tmp_path / "results.jsonl"
    command = ["stress", "sweep", "--seeds", "1", "--out", str(path), *options]
    assert main(command) == 2
    found = capsys.readouterr().err
    assert found.startswith("mlp: ")
    assert found.count("\n") == 1
    assert message in found
    assert not path.exists()


def test_a_file_of_another_grid_stays(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    command = ["stress", "sweep", "--seeds", "1", "--passes", "1", "--width", "4"]
    assert main([*command, "--out", str(path)]) == 0
    before = path.read_bytes()
    assert main([*command, "--depth", "6", "--out", str(path)]) == 2
    assert "of another grid: depth [5], here [6]" in capsys.readouterr().err
    assert path.read_bytes() == before
