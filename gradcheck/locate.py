"""locate: the wrong entry of a large array, by halving."""

from collections.abc import Callable

import numpy as np

from gradcheck.compare import Probe
from gradcheck.numeric import STEP

Array = np.ndarray


def locate(
    function: Callable[[Array], Array],
    x: Array,
    gradient: Array,
    weights: Array,
    probe: Probe,
    discrepancy: float,
) -> tuple[tuple[int, ...], int]:
    """The index of an entry that is wrong, and how many calls of `function` it took.

    Along `probe`, whose entries are ±1, analytic minus numeric is `discrepancy`. A half of
    the entries has a part of that, the other half has the rest: one central difference tells
    both, and the half with more is halved again. Two calls a step, log₂ of the size steps.
    """
    signs, analytic = probe.direction.ravel(), gradient.astype(np.float64).ravel()
    h = STEP * (float(abs(x).max()) or 1.0)
    candidates, calls = np.arange(x.size), 0
    while len(candidates) > 1:
        half = candidates[: len(candidates) // 2]
        direction = np.zeros(x.size)
        direction[half] = signs[half]
        moved = h * direction.reshape(x.shape)
        change = np.asarray(function(x + moved), np.float64) - function(x - moved)
        calls += 2
        part = float(analytic[half] @ signs[half] - weights @ change.ravel() / (2 * h))
        if abs(part) >= abs(discrepancy - part):
            candidates, discrepancy = half, part
        else:
            candidates, discrepancy = candidates[len(half) :], discrepancy - part
    index = np.unravel_index(int(candidates[0]), x.shape)
    return tuple(int(k) for k in index), calls
