"""How many threads a process may use: decided before the libraries that ask are imported."""

import os

POOLS = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def hold_to(threads: int) -> None:
    """Pin the process to so many cores, the last ones, and size every pool to match.

    The affinity is what holds XLA, which counts the cores that it may run on. The first core
    is left to the system where there is a choice: interrupts like it best.
    """
    for pool in POOLS:
        os.environ[pool] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise SystemExit(f"bench: {threads} threads asked for, {len(cores)} cores to run on")
        os.sched_setaffinity(0, set(cores[-threads:]))
