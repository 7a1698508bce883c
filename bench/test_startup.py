"""From a fresh process to the first verified gradient."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "gradcheck", "toy", "--json"]

COLD_SECONDS = 20
"""Of a processor. On the machine of the README it takes 8, and half as much again when that is
slow."""


def run(**environment):
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=os.environ | environment, capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout)["matched"] == 180
    return done.stderr


def processor_seconds(function):
    """Which do not grow when another process has the core."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    function()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.benchmark(group="startup")
def test_warm(benchmark):
    """Everything is in the cache."""
    run()
    benchmark.extra_info.update(cache="warm", dtype="float64")
    benchmark.pedantic(run, rounds=5)


@pytest.mark.benchmark(group="startup")
def test_cold(benchmark, tmp_path):
    """Nothing is: the kernels that the toy needs are compiled, and it says so."""

    def start():
        said = run(NUMBA_CACHE_DIR=str(tmp_path))
        assert said.startswith("compiling the kernels: the first run only")
        assert "functions within" in said

    benchmark.extra_info.update(cache="cold", dtype="float64")
    taken = processor_seconds(lambda: benchmark.pedantic(start, rounds=1))
    assert taken < COLD_SECONDS
