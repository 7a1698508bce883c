"""From a fresh process to the first verified gradient."""

import json
import os
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


@pytest.mark.benchmark(group="startup")
def test_warm(benchmark):
    """Everything is in the cache."""
    run()
    benchmark.extra_info.update(cache="warm", dtype="float64")
    benchmark.pedantic(run, rounds=5)


@pytest.mark.benchmark(group="startup")
def test_cold(benchmark, tmp_path):
    """Nothing is: the kernels that the toy needs are compiled."""
    benchmark.extra_info.update(cache="cold", dtype="float64")
    benchmark.pedantic(run, kwargs={"NUMBA_CACHE_DIR": str(tmp_path)}, rounds=1)
