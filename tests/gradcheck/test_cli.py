"""The command line: what it prints, where, and its exit status."""

import json
import shlex
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from gradcheck import __main__ as cli
from gradcheck.__main__ import main
from gradcheck.suite import check_networks
from kernels import OPS
from kernels.activation import ACTIVATIONS
from tests.interrupts import interruptible

ROOT = Path(__file__).parents[2]


def test_the_main_job(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "180 of 180 published numbers reproduced" in out
    operations = 2 * sum(op.backward is not None for op in OPS.values())
    networks = 2 * (2 * len(ACTIVATIONS) + 2)
    assert f"operations: {operations} of {operations} pass" in out
    assert f"networks: {networks} of {networks} pass" in out
    assert out.rstrip().endswith("all pass")


def test_the_toy_as_text(capsys):
    assert main(["toy"]) == 0
    out = capsys.readouterr().out
    assert "captions in reverse order" in out
    assert "= dW2                       [[-37665, -22103, -37541]" in out
    assert out.rstrip().endswith("180 of 180 published numbers match: pass")
    for case in ("single input", "batch row 1", "batch row 2", "batch row 3"):
        assert f"{case}: input" in out


def test_the_toy_as_json(capsys):
    assert main(["toy", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {k: document[k] for k in ("schema", "published", "matched", "mismatches")} == {
        "schema": 1,
        "published": 180,
        "matched": 180,
        "mismatches": [],
    }
    assert document["cases"]["single input"]["dW3"]["computed"] == [
        [-21032, -352],
        [-29397, -492],
        [-35133, -588],
    ]


def test_a_variant_says_how_it_is_judged(capsys):
    assert main(["toy", "--activation", "sigmoid", "--batchnorm", "2"]) == 0
    out = capsys.readouterr().out
    assert "Nothing is published for this: values are judged by a NumPy reference and by" in out
    assert "by differences: 11 of 11 arrays confirmed" in out
    assert main(["toy", "--activation", "tanh", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["published"] == 0
    assert document["judged_by"] == "NumPy reference and differences"
    assert document["matched"] == document["expected"] == 180


def test_everything_as_json(capsys, monkeypatch):
    # A few networks are enough to see the document; test_the_main_job runs them all.
    monkeypatch.setattr(cli, "check_networks", lambda seed: islice(check_networks(seed), 3))
    assert main(["--json", "--seed", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["seed"] == 3
    assert document["toy"]["matched"] == 180
    assert document["operations"]["verdict"] == document["networks"]["verdict"] == "pass"


@pytest.mark.parametrize("command", ["ops", "networks"])
def test_one_suite_alone(command, capsys, monkeypatch):
    monkeypatch.setattr(cli, "check_networks", lambda seed: islice(check_networks(seed), 3))
    assert main([command, "--seed", "1"]) == 0
    assert "all pass" in capsys.readouterr().out


def test_a_mistake_gives_exit_status_1(capsys):
    assert main(["toy", "--target", "tests.gradcheck.homework:TransposedMLP"]) == 1
    out = capsys.readouterr().out
    assert "! dW2" in out
    assert "156 of 180 published numbers match: fail" in out
    assert main(["toy", "--json", "--target", "tests.gradcheck.homework:TransposedMLP"]) == 1
    mismatches = json.loads(capsys.readouterr().out)["mismatches"]
    assert len(mismatches) == 24
    assert mismatches[0]["quantity"] == "dW2"


def test_a_target_that_prints_leaves_the_json_alone(capsys):
    assert main(["toy", "--json", "--target", "tests.gradcheck.homework:NoisyMLP"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out, parse_constant=pytest.fail)  # NaN is not JSON
    assert document["mismatches"][0]["computed"] is None
    assert "in backward" in captured.err


@pytest.mark.compiled
def test_a_reader_that_stops_is_no_error():
    command = f"{shlex.quote(sys.executable)} -m gradcheck toy --json | true"
    done = subprocess.run(
        command, shell=True, cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["toy", "--activation", "swish"], ["toy", "--batchnorm", "4"],
                  ["--seed", "x"], ["--seed", "-1"], ["ops", "--target", "a:b"]],
)  # fmt: skip
def test_usage_gives_exit_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_target_that_cannot_be_gives_exit_status_2(capsys):
    assert main(["toy", "--target", "no_such_module:MLP"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there is no module 'no_such_module'" in captured.err


def test_an_interrupt_gives_exit_status_130(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_toy", interrupted)
    assert main(["toy"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.compiled
def test_ctrl_c_on_the_process():
    with interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "gradcheck"],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    assert "180 of 180" in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("gradcheck: interrupted\n")
    assert "Traceback" not in err


def test_gradcheck_imports_numpy_alone():
    code = (
        "import sys; import gradcheck, gradcheck.__main__; "
        "sys.exit(any(m in sys.modules for m in ('numba', 'kernels', 'mlp')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


PAIR = "def w(x):\n    return x * x\n\ndef w_backward(dy, x):\n    return 2 * x * dy\n"


def run_pair(tmp_path, text, *options):
    file = tmp_path / "pair.py"
    file.write_text(text)
    return main([f"{file}:w", "--shape", "x=3", *options])


def test_a_backward_with_another_signature_is_one_message(tmp_path, capsys):
    assert run_pair(tmp_path, PAIR.replace("(dy, x)", "(d)")) == 2
    told = capsys.readouterr().err
    assert "backward(d) cannot be called with 2 arguments" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("module", ["missing_module:w", "pair.py:w:x"])
def test_a_module_that_is_not_there_is_a_wrong_usage(module, capsys):
    assert main([module]) == 2
    assert "there is no module" in capsys.readouterr().err


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(600)"])
@pytest.mark.parametrize("name", ["w", "MLP"])
def test_an_import_that_never_ends_is_stopped(tmp_path, capsys, body, name):
    file = tmp_path / "endless.py"
    file.write_text(body)
    began = time.monotonic()
    assert main([f"{file}:{name}", "--budget", "0.5"]) == 1
    assert time.monotonic() - began < 2
    told = capsys.readouterr().out
    assert "inconclusive" in told
    assert f"the budget of 0.5 s is spent ({file}:1)" in told


def test_a_module_that_closes_its_streams_is_checked(tmp_path):
    file = tmp_path / "closing.py"
    file.write_text(f"import sys\nsys.stdout.close()\nsys.stderr.close()\n{PAIR}")
    command = [sys.executable, "-m", "gradcheck", f"{file}:w", "--shape", "x=3"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "pass" in found.stdout
    file.write_text(f"import sys\nsys.__stdout__.close()\n{PAIR}")
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr == "gradcheck: their code has closed stdout: nothing can be written\n"


def test_a_target_is_imported_once(tmp_path, capsys):
    file = tmp_path / "once.py"
    file.write_text(
        "import numpy as np\n"
        "print('imported')\n"
        "def sine(x):\n    return np.sin(x)\n"
        "def sine_backward(dy, x):\n    return dy * np.cos(x)\n"
    )
    assert main([f"{file}:sine", "--shape", "x=3"]) == 0
    assert capsys.readouterr().err.count("imported") == 1
