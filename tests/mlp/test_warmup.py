"""python -m mlp warmup: the second time, nothing compiles."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlp.__main__ import DONE, USAGE, main

ROOT = Path(__file__).parents[2]


def warmup(directory, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "mlp", "warmup", *arguments], cwd=ROOT, check=False, text=True,
        capture_output=True, env=os.environ | {"NUMBA_CACHE_DIR": str(directory)},
    )  # fmt: skip
    assert done.returncode == DONE, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.compiled
def test_the_second_time_all_is_loaded(tmp_path, request):
    thorough = request.config.getoption("thorough")
    names = [] if thorough else ["relu", "adam", "softmax_cross_entropy", "--dtype", "float64"]
    first, second = warmup(tmp_path, *names), warmup(tmp_path, *names)
    assert "functions compiled; kept in " in first
    assert "0 functions compiled" not in first
    assert str(tmp_path) in first
    assert "all was compiled already, and loaded" in second
    if thorough:
        code = (
            "import logging, sys; logging.basicConfig(level='INFO', stream=sys.stdout)\n"
            "import numpy as np; from mlp import MLP\n"
            "x, y = np.ones((4, 2), np.float32), [0, 1, 0, 1]\n"
            "net = MLP(2, 2, [3], optimizer='adam', num_bn_layers=1, dtype='float32')\n"
            "net.fit(x, y); net.predict(x); net.evaluate(x, y); net.forward(x); net.backward(y)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, text=True, capture_output=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        )  # fmt: skip
        assert "compiling" not in done.stdout


def test_a_wrong_name_is_one_line(capsys):
    assert main(["warmup", "rleu"]) == USAGE
    message = capsys.readouterr().err
    assert message.startswith("mlp: warmup: name is 'rleu', expected one of ")
    assert message.endswith("(did you mean 'relu'?)\n")
    assert message.count("\n") == 1


def test_a_wrong_option_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["warmup", "--dtype", "float16"])
    assert stopped.value.code == USAGE
    message = capsys.readouterr().err
    assert message.startswith("mlp: argument --dtype: invalid choice: 'float16'")
    assert message.count("\n") == 1


def test_alone_it_shows_help(capsys):
    assert main([]) == DONE
    assert "warmup" in capsys.readouterr().out


def test_an_interrupt_ends_it(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlp.__main__.warm_up", interrupted)
    assert main(["warmup"]) == 130
    assert capsys.readouterr().err == "mlp: interrupted\n"


def test_it_says_what_was_done(capsys):
    assert main(["warmup", "relu", "engine", "--dtype", "float64"]) == DONE
    text = capsys.readouterr().out
    assert text.startswith(("2 of 2 ready in ", "NUMBA_DISABLE_JIT is set"))
