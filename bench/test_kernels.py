"""Each kernel alone, op × dtype × size, forward and backward; and what compiling it takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cases import DTYPES, SIZES, make, verify
from kernels import OPS

ROOT = Path(__file__).parents[1]

DIRECTIONS = [
    (name, direction)
    for name, op in OPS.items()
    for direction in ("forward", "backward")
    if direction == "forward" or op.backward is not None
]


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "direction"), DIRECTIONS, ids=["-".join(d) for d in DIRECTIONS])
def test_kernel(benchmark, name, direction, dtype, size):
    case = make(name, direction, size, dtype)
    verify(case)
    benchmark.extra_info.update(case.extra_info)
    benchmark(case.run)


@pytest.mark.benchmark(group="boundary")
@pytest.mark.parametrize("name", ["relu", "affine", "softmax_cross_entropy", "momentum"])
def test_boundary(benchmark, name):
    """The same call through the checks; what it takes beyond group kernels is their price."""
    case = make(name, "forward", "small", "float32")
    verify(case)
    benchmark.extra_info.update(case.extra_info)
    benchmark(case.call)


COMPILE = """
import time
from bench.cases import make
start = time.perf_counter()
make({name!r}, "forward", "small", "float64")
print(time.perf_counter() - start)
"""


@pytest.mark.benchmark(group="compile")
@pytest.mark.parametrize("name", ["affine", "tanh", "batchnorm", "softmax_cross_entropy"])
def test_compile(benchmark, name, tmp_path):
    """A fresh process with an empty cache; `compile_seconds` is the kernel's share of it."""

    def run():
        command = [sys.executable, "-c", COMPILE.format(name=name)]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    benchmark.extra_info.update(make(name, "forward", "small", "float64").extra_info)
    benchmark.extra_info["compile_seconds"] = benchmark.pedantic(run, rounds=1)
