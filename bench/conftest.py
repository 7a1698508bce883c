"""What every benchmark report carries about the machine and the versions."""

import platform
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba import config

HERE = Path(__file__).parent

VERSIONS = {
    "python": platform.python_version(),
    "numpy": np.__version__,
    "numba": numba.__version__,
    "llvmlite": llvmlite.__version__,
}


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["versions"] = VERSIONS


def pytest_benchmark_update_json(config, benchmarks, output_json):
    for bench in output_json["benchmarks"]:
        bench["extra_info"]["versions"] = VERSIONS
        bench["extra_info"].setdefault("threads", 1)
        if flop := bench["extra_info"].get("flop"):
            bench["extra_info"]["gflop_per_s"] = flop / bench["stats"]["median"] / 1e9


def pytest_collection_modifyitems(items):
    """Timing plain Python says nothing of kernels."""
    if config.DISABLE_JIT:
        items[:] = [item for item in items if HERE not in item.path.parents]
