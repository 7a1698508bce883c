"""What was done to a derivative φ' that belongs into a gradient: left out, taken elsewhere.

What else the gradient is made of need not be known. Where `given` is the gradient under test
and `right` the right one, entry by entry, and u what φ is taken of, a missing φ' is
given·φ'(u) = right, for one of the functions that are known.
"""

from collections.abc import Iterator

import numpy as np

from gradcheck.activations import ACTIVATIONS, FURTHER, Activation
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.experiments import close
from gradcheck.verdict import Cause

Array = np.ndarray

VARIED = 1e-3
"""Relative: by less, a derivative is a constant."""

FEWEST = 6
"""Entries with another φ' each, at least; of a mask, so many on either side."""

SIDES = 3

COMPARABLE = 10.0
"""Entries that a mask should have dropped are this much smaller at most than those it keeps:
else they were dropped, and something else is there."""


def slips(name: str, given: Array, right: Array, u: Array, near: float) -> Iterator[Cause]:
    """The causes, for the first function whose derivative tells how the two are related."""
    known = np.isfinite(given) & np.isfinite(right) & np.isfinite(u)
    given, right, u = given[known], right[known], u[known]
    if len(u) < FEWEST or close(given, right, near):
        return
    for activation in (*ACTIVATIONS.values(), *FURTHER):
        with np.errstate(all="ignore"):
            y = activation.value(u)
            slope = np.asarray(activation.derivative(u, y))
            found = list(slip_of(name, activation, slope, given, right, u, near))
        if found:
            yield from found
            return


def slip_of(
    name: str,
    activation: Activation,
    slope: Array,
    given: Array,
    right: Array,
    u: Array,
    near: float,
) -> Iterator[Cause]:
    if not is_varied(slope):
        return
    about = f", for φ = {activation.name}, φ' = {activation.formula}"
    at_output = activation.derivative(activation.value(u), activation.value(activation.value(u)))
    if is_equal(given * slope, right, near) and is_left_in(given, slope):
        yield cause("activation-derivative-missing", name=name, detail=about)
    is_other = is_varied(at_output) and not close(at_output, slope, VARIED)
    if is_other and is_equal(given * slope, right * at_output, near):
        yield cause("activation-derivative-at-output", detail=about)
    if activation.of == "y" and activation.usual is not None:
        formula = activation.formula
        if is_equal(given * slope, right * activation.usual(u), near):
            found = formula.replace("y", "z")
            yield cause("output-formula-at-input", found=found, right=formula)
    if is_equal(given, right * slope, near) and len(np.unique(slope)) > FEWEST:
        yield cause("activation-derivative-twice")


def is_varied(slope: Array) -> bool:
    """Whether the derivative takes many values, or both of two often enough."""
    if not np.isfinite(slope).all() or np.ptp(slope) <= VARIED * abs(slope).max(initial=0):
        return False
    values, counts = np.unique(slope, return_counts=True)
    return len(values) >= FEWEST or bool(counts.min() >= SIDES)


def is_equal(a: Array, b: Array, near: float) -> bool:
    """The same numbers, and not zeros that agree with anything."""
    return bool(a.any()) and close(a, b, near)


def is_left_in(given: Array, slope: Array) -> bool:
    """Whether the entries are there that a mask would have dropped."""
    dropped = abs(given[slope == 0])
    if not len(dropped):
        return True
    kept = abs(given[slope != 0])
    return bool(np.median(dropped) * COMPARABLE > np.median(kept))
