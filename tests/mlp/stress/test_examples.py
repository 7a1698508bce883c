"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled  # as plain Python it takes minutes

ROOT = Path(__file__).parents[3]


def example(name, *arguments):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)], cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_explosion(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert "overflow of float64 in pass 7" in example("explosion.py", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_dask(tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    path = tmp_path / "results.jsonl"
    lines = example("sweep_dask.py", path).splitlines()
    assert lines[0] == f"30 cells in {path}: 30 run"
    assert len(lines) == 7
    assert lines[1] == "he        relu  0 of 5 overflow"
