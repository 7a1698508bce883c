"""Coarse arithmetic: a backward that computes in fewer digits than its arguments have."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating

Array = np.ndarray
Gradients = Callable[[list[Any], list[Any]], Sequence[Any] | None]

NUDGES = (("float32", 1e-11, 1e-5), ("float16", 1e-7, 2e-2))
"""dtype, a relative change that is lost in it, the largest relative error that it may make."""

KEPT = 0.6
"""So many entries stay as they are, to the bit, when arguments are nudged by what the dtype
cannot hold. (Not all: some are next to where rounding goes the other way.)"""


def is_deaf(
    gradients: Gradients,
    i: int,
    analytic: Array,
    cotangents: Sequence[Array],
    inputs: Sequence[Any],
    nudge: float,
    is_fixed: bool,
) -> bool:
    """Whether gradient i stays as it is when arguments are nudged: they were rounded."""
    moved = [a * (1 + nudge) if is_floating(a) else a for a in inputs]
    nudged = list(cotangents) if is_fixed else [c * (1 + nudge) for c in cotangents]
    counted = analytic != 0
    changes = [(nudged, moved)]
    if not is_fixed:  # else one of these changes nothing that backward sees
        changes += [(nudged, list(inputs)), (list(cotangents), moved)]
    for dy, at in changes:
        found = gradients(dy, at)
        if found is None or found[i] is None or found[i].shape != analytic.shape:
            return False
        if counted.any() and np.mean((found[i] == analytic)[counted]) > KEPT:
            return True
    return False


def dtype_of_numbers(analytic: Array, dtype: str) -> bool:
    """Whether all numbers are of that dtype, and not by chance."""
    with np.errstate(all="ignore"):
        is_whole = bool((analytic.astype(dtype) == analytic).all())
    return is_whole and len(np.unique(analytic)) > 2
