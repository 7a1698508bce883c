"""The examples of gradcheck run, and see the mistakes that they plant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gradcheck.test_plugin import LOADED

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_torch_function():
    pytest.importorskip("torch")
    done = run("examples/torch_function.py")
    assert done.returncode == 0, done.stderr
    assert "Swish: pass" in done.stdout
    assert "SwishMasked: fail" in done.stdout
    assert "1. cotangent-masked" in done.stdout


def test_a_c_function():
    from examples.ctypes_function import COMPILERS, compiler

    if compiler() is None:
        pytest.skip(f"no C compiler: none of {', '.join(COMPILERS)}")
    done = run("examples/ctypes_function.py")
    assert done.returncode == 0, done.stderr
    for dtype in ("float64", "float32"):
        assert f"softplus_backward {dtype}: pass" in done.stdout
        assert f"softplus_mistaken {dtype}: fail" in done.stdout
    assert "entries 8 to 10" in done.stdout


def test_no_compiler_is_said(monkeypatch, capsys):
    from examples import ctypes_function

    monkeypatch.setattr(ctypes_function.shutil, "which", lambda name: None)
    assert ctypes_function.main() == 1
    assert "no C compiler was found: none of cc, gcc, clang" in capsys.readouterr().err


def test_a_page_with_a_heat_map(tmp_path):
    done = run("examples/heatmap.py", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "8 of 96 entries are off: column 11" in text
    assert text.count('class="cell more-4"') + text.count('class="cell less-4"') == 8


def test_the_plugins_example():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *LOADED, "examples/test_my_layer.py")
    assert "5 passed" in done.stdout, done.stdout + done.stderr
