"""The disk cache: it notices edits in any file, and never fails the call that it serves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.compiled

USE = "import numpy as np, kernels; print(float(kernels.relu_forward(np.ones(1))[0] + 2))"
SIGMOID = "import numpy as np, kernels; print(float(kernels.sigmoid_forward(np.zeros(1))[0]))"


def copied(folder):
    """The folder, with the kernels in it and no cache yet."""
    sources = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=sources)
    return folder


@pytest.fixture
def package(tmp_path):
    """A copy of the kernels, with a cache of its own."""
    return copied(tmp_path)


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    """Kernels whose cache holds what `USE` needs."""
    folder = copied(tmp_path_factory.mktemp("compiled"))
    answer, count = run(folder)
    assert answer == "3.0"
    assert count > 0
    return folder


@pytest.fixture
def compiled(compiled_once, tmp_path):
    """A copy of them, cache and all."""
    shutil.copytree(compiled_once / "kernels", tmp_path / "kernels")
    return tmp_path


def run(package, code=USE, **environment):
    """What `code` prints in a fresh process, and how many functions that compiled."""
    listen = "import logging; logging.basicConfig(level='INFO'); "
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", listen + code], cwd=package, text=True,
        capture_output=True, check=True, timeout=300,
        env={k: v for k, v in os.environ.items() if not k.startswith("NUMBA")} | environment,
    )  # fmt: skip
    return done.stdout.strip(), done.stderr.count("compiling ")


def test_the_second_process_compiles_nothing(compiled):
    assert run(compiled) == ("3.0", 0)


def test_an_edited_callee_in_another_file_is_noticed(package):
    assert run(package, SIGMOID)[0] == "0.5"
    callee = package / "kernels" / "elementary.py"
    source = callee.read_text()
    line = "    y, _ = sigmoid_pair(x)\n    return y"
    assert source.count(line) == 1
    callee.write_text(source.replace(line, f"{line} + 8"))
    assert run(package, SIGMOID)[0] == "8.5"


def damage(package, spoil):
    files = [
        p for p in (package / "kernels" / "__pycache__").iterdir() if p.suffix in (".nbi", ".nbc")
    ]
    assert files
    for path in files:
        path.write_bytes(spoil(path.read_bytes()))


@pytest.mark.parametrize(
    "spoil",
    [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"\x80\x05nonsense" + b[11:],
     lambda b: b[:-200] + bytes(200)],
    ids=["empty", "truncated", "not a pickle", "zeroed tail"],
)  # fmt: skip
def test_a_damaged_cache_is_compiled_again(compiled, spoil):
    damage(compiled, spoil)
    answer, count = run(compiled)
    assert answer == "3.0"
    assert count > 0
    assert run(compiled) == ("3.0", 0)


def test_an_install_that_cannot_be_written_uses_the_users_cache(package):
    """A file where the directory would be: not even root can make one there."""
    (package / "kernels" / "__pycache__").write_text("")
    user = {"XDG_CACHE_HOME": str(package / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert run(package, **user)[1] > 0
    assert run(package, **user) == ("3.0", 0)
    assert list((package / "home" / "backproof").rglob("*.nbi"))


def test_nowhere_to_write_still_works(package):
    (package / "kernels" / "__pycache__").write_text("")
    blocked = package / "blocked"
    blocked.write_text("")
    for _ in range(2):
        answer, _ = run(package, XDG_CACHE_HOME=str(blocked), PYTHONDONTWRITEBYTECODE="1")
        assert answer == "3.0"


def test_functions_of_others_are_not_cached(package):
    """Their sources cannot all be known: a kernel from standard input, say."""
    kernel = (
        "import numpy as np\nfrom kernels import kernel\n"
        "def double(x, y):\n  for i in range(x.size): y[i] = x[i] * FACTOR\n"
        "y = np.empty(1)\nkernel(double).jitted(np.ones(1), y)\nprint(y[0])"
    )
    for factor in ("2.5", "7.5"):
        done = subprocess.run(
            [sys.executable, "-"],
            input=kernel.replace("FACTOR", factor),
            text=True,
            cwd=package,
            capture_output=True,
            check=True,
            timeout=300,
        )
        assert done.stdout.strip() == factor


def test_what_cannot_be_cached_is_compiled_all_the_same(package):
    """A function that is handed to another has an address of this process's in its code."""
    call = (
        "import warnings\nimport numpy as np\n"
        "from kernels.gemm import matmul_transpose_b, product\n"
        "from kernels.share import ALONE\nwarnings.simplefilter('ignore')\n"
        "a, c = np.eye(2), np.empty((2, 2))\n"
        "matmul_transpose_b(a, a, c, ALONE, product)\nprint(c.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", call], cwd=package, text=True, timeout=300,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[1.0, 0.0], [0.0, 1.0]]"


def test_a_directory_of_ones_choice(package):
    chosen = package / "chosen"
    run(package, NUMBA_CACHE_DIR=str(chosen))
    assert list(chosen.rglob("*.nbi"))
    assert run(package, NUMBA_CACHE_DIR=str(chosen)) == ("3.0", 0)


def test_two_processes_at_once(package):
    command = [sys.executable, "-c", USE]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")}
    both = [
        subprocess.Popen(command, cwd=package, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in "ab"
    ]
    assert [process.communicate(timeout=300)[0].strip() for process in both] == ["3.0", "3.0"]
    assert run(package) == ("3.0", 0)
