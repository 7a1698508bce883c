"""How many threads a process may use: decided before the libraries that ask are imported."""

import os
from contextlib import contextmanager

POOLS = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


CAN_PIN = hasattr(os, "sched_setaffinity")

CORES = os.sched_getaffinity(0) if CAN_PIN else set()
"""Those that the process was given, before it was held to fewer."""


def hold_to(threads: int) -> None:
    """Pin the process to so many cores, the last ones, and size every pool to match.

    The affinity is what holds XLA, which counts the cores that it may run on. The first core
    is left to the system where there is a choice: interrupts like it best.
    """
    for pool in POOLS:
        os.environ[pool] = str(threads)
    if CAN_PIN:
        cores = sorted(CORES)
        if len(cores) < threads:
            raise SystemExit(f"bench: {threads} threads asked for, {len(cores)} cores to run on")
        os.sched_setaffinity(0, set(cores[-threads:]))


@contextmanager
def released():
    """All the cores again, for a process that is started meanwhile."""
    if CAN_PIN:
        held = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
    yield
    if CAN_PIN:
        os.sched_setaffinity(0, held)
