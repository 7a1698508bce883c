"""What a reader must know of the machine that a table was measured on."""

import importlib.metadata
import os
import platform
from pathlib import Path

from kernels.simd import host_features

VECTORS = ("sse2", "avx2", "fma", "avx512f", "neon")
LIBRARIES = ("numpy", "numba", "torch", "jax", "scikit-learn")


def processor() -> str:
    """Its model name, as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def description() -> dict:
    features = host_features()
    return {
        "processor": processor(),
        "features": [name for name in VECTORS if name in features],
        "cores": os.cpu_count(),
        "versions": versions(),
    }


def sentence(machine: dict) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    features = ", ".join(machine["features"])
    return f"{machine['processor']} with {machine['cores']} cores and {features}; {libraries}."
