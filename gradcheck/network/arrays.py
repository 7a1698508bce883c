"""One array of a network's gradients, against differences of the loss.

Courses differ in where the mean over the batch is taken. Which it is here is asked first, of
one direction, so that only one of them has to be measured closely. In a large network, the
right gradient of the replay says which entries are worth measuring.
"""

from dataclasses import replace

import numpy as np

from gradcheck.compare import (
    Comparison,
    Probe,
    Quantity,
    compare,
    directions,
    entry_probe,
)
from gradcheck.subject import FAULTS
from gradcheck.verdict import FAIL, PASS

Array = np.ndarray

ALL = 40
"""Arrays of up to so many entries are measured at every one."""

DIRECTIONS = 3
WORST = 4
STEEP = 2

FIRST_STEP = 2.0**-14
"""Relative to the array, of the one difference that tells the mean from the sum."""


def compare_array(
    quantity: Quantity, rng: np.random.Generator, is_open: bool, count: int, right: Array | None
) -> tuple[Comparison, bool]:
    """The comparison at the scale that fits best, and whether it is that of the sum."""
    scales = [1.0]
    if is_open and quantity.gradient.dtype.kind == "f":
        scales = likely_scales(quantity, count)
    best, chosen = None, 1.0
    for scale in scales:
        found = compare_at(quantity, rng, scale, right)
        if best is None or better(found, best):
            best, chosen = found, scale
        if found.finding.verdict != FAIL:
            break
    assert best is not None
    return best, chosen > 1 and best.finding.verdict == PASS


def better(one: Comparison, other: Comparison) -> bool:
    if (one.finding.verdict == FAIL) != (other.finding.verdict == FAIL):
        return one.finding.verdict != FAIL
    return one.finding.excess < other.finding.excess


def likely_scales(quantity: Quantity, count: int) -> list[float]:
    """1 for the mean and N for the sum, the nearer one first."""
    gradient = quantity.gradient.astype(np.float64)
    norm = float(np.linalg.norm(gradient))
    if gradient.shape != quantity.x.shape or not np.isfinite(norm) or norm == 0:
        return [1.0]
    h = FIRST_STEP * (float(abs(quantity.x).max()) or 1.0) / float(abs(gradient).max())
    along = quantity.along(Probe("", gradient, 0.0))
    try:
        slope = float(quantity.weights @ (along(h) - along(-h))) / (2 * h)
    except FAULTS:
        return [1.0, float(count)]
    ratio = norm * norm / slope if slope else 1.0
    mean_first = abs(np.log(abs(ratio) or 1.0)) <= abs(np.log((abs(ratio) or 1.0) / count))
    return [1.0, float(count)] if mean_first else [float(count), 1.0]


def compare_at(
    quantity: Quantity, rng: np.random.Generator, scale: float, right: Array | None
) -> Comparison:
    if scale != 1:
        spread = None if quantity.spread is None else quantity.spread / scale
        quantity = replace(quantity, gradient=quantity.gradient / scale, spread=spread)
    return compare(quantity, rng, places(quantity, rng, right))


def places(quantity: Quantity, rng: np.random.Generator, right: Array | None) -> list[Probe] | None:
    """Where to measure; None for wherever `compare` would."""
    gradient = quantity.gradient
    if right is None or gradient.size <= ALL or gradient.shape != right.shape:
        return None
    if gradient.dtype.kind != "f" or not np.isfinite(gradient).all():
        return None
    gradient = gradient.astype(np.float64)
    off = abs(gradient - right)
    worst = np.argsort(-off, axis=None)[:WORST]
    steep = np.argsort(-abs(right), axis=None)[:STEEP]
    entries = dict.fromkeys(int(k) for k in (*worst, *steep))
    found = [
        entry_probe(tuple(int(j) for j in np.unravel_index(k, gradient.shape)), gradient)
        for k in entries
    ]
    is_wrong = off.max() > 1e-3 * max(abs(right).max(), abs(gradient).max())
    around = directions(gradient, rng, DIRECTIONS)
    return [*found, *around] if is_wrong else [*around, *found]
