"""How many instructions a training step takes: a number that no noise reaches.

Counted by Valgrind, where it is installed, on code for AVX2, which it knows; by so many steps more,
so that neither Python's start nor compiling counts.
"""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2",
}

STEADY = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
"""What makes one process count as the next: OpenBLAS's second thread waits in a loop."""

PROGRAM = """
import sys
import numpy as np
from mlp import MLP, set_num_threads

set_num_threads(1)
draw = np.random.default_rng(0)
for widths, batch, activation, norms, steps in (
    ((8, 64, 64, 4), 32, "tanh", 0, int(sys.argv[1])),
    ((32, 128, 128, 2), 64, "relu", 2, int(sys.argv[2])),
):
    first, *hiddens, last = widths
    net = MLP(first, last, hiddens, activation, num_bn_layers=norms, dtype=np.float32)
    x, labels = draw.standard_normal((batch, first), np.float32), np.arange(batch) % last
    for _ in range(steps):
        net.train_step(x, labels)
"""

BASE = (10, 10)
MORE = {"rl": (100, 0), "tabular": (0, 30)}
"""How many more steps, of each network."""

MOST = {"rl": 320_000, "tabular": 1_830_000}
"""A tenth more than was counted. Five of the tile's instructions make three multiply-adds of eight
numbers, so at best the products take 94,000 and 775,000 of them.
"""


def count(steps: tuple[int, int], environment: dict[str, str]) -> int:
    """Instructions of a whole process."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, *map(str, steps)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [line for line in done.stderr.splitlines() if "refs:" in line]
    return int(line.split()[-1].replace(",", ""))


@pytest.mark.thorough
@pytest.mark.compiled
@pytest.mark.skipif(
    shutil.which("valgrind") is None or platform.machine() != "x86_64",
    reason="needs valgrind and AVX2",
)
def test_instructions_of_a_step(tmp_path):
    environment = os.environ | AVX2 | STEADY | {"NUMBA_CACHE_DIR": str(tmp_path)}
    # Compiles, which under Valgrind would take minutes.
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, BASE)], cwd=ROOT, env=environment,
                   check=True)  # fmt: skip
    cases = [BASE, *((BASE[0] + more[0], BASE[1] + more[1]) for more in MORE.values())]
    with ThreadPoolExecutor(2) as pool:
        before, *counts = pool.map(lambda steps: count(steps, environment), cases)
    per_step = {
        name: (after - before) / max(MORE[name]) for name, after in zip(MORE, counts, strict=True)
    }
    assert all(0 < number <= MOST[name] for name, number in per_step.items()), per_step
