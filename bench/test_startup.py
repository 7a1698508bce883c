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


def run(**environment):
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=os.environ | environment, capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout)["matched"] == 180
    return done.stderr


@pytest.mark.benchmark(group="startup")
def test_warm(benchmark):
    """Everything is in the cache."""
    run()
    benchmark.extra_info.update(cache="warm", dtype="float64")
    benchmark.pedantic(run, rounds=5)


@pytest.mark.benchmark(group="startup")
def test_cold(benchmark, tmp_path):
    """Nothing is: the kernels that the toy needs are compiled, and it says so."""
    benchmark.extra_info.update(cache="cold", dtype="float64")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = benchmark.pedantic(run, kwargs={"NUMBA_CACHE_DIR": str(tmp_path)}, rounds=1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert said.startswith("compiling the kernels: the first run only")
    assert "functions within" in said
    # Processor seconds, which do not grow when the machine is busy with something else.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20
