"""Entries where a derivative is infinite, as that of √x at 0: no mistake of the gradient's."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.numeric import Line

if TYPE_CHECKING:
    from gradcheck.compare import Probe, Quantity

Array = np.ndarray

STEPS = 2.0 ** -np.arange(8.0, 32.0, 4.0)
"""Relative to the array: of the one-sided slopes that are seen to grow."""

GROWTH, LEAST = 2.0, 1.05
"""By how much a slope grows over all steps, and from one to the next, if it has no limit: that of
x·log x, which grows as slowly as any, does by more."""

MOST = 32
"""Entries that are looked at; a gradient with more infinite ones is not finite as a whole."""


def infinite_entries(quantity: "Quantity") -> Array | None:
    """Where the gradient is infinite, if the slopes of the function grow without limit at each of
    these entries, and with the same sign; None where there are none, or it is otherwise.
    """
    from gradcheck.compare import entry_probe

    gradient = quantity.gradient
    if gradient.shape != quantity.x.shape or gradient.dtype.kind != "f":
        return None
    places = ~np.isfinite(gradient)
    if not places.any() or places.sum() > MOST or np.isnan(gradient).any():
        return None
    zeros = np.zeros(gradient.shape)
    found = (
        grows(quantity, entry_probe(tuple(int(k) for k in index), zeros), gradient[tuple(index)])
        for index in np.argwhere(places)
    )
    return places if all(found) else None


def grows(quantity: "Quantity", probe: "Probe", gradient: float) -> bool:
    """Whether the slope on one side of the entry grows without limit, towards the gradient."""
    line = Line(quantity.along(probe), quantity.weights, quantity.epsilon)
    scale = float(abs(quantity.x).max()) or 1.0
    for side in (scale, -scale):
        moved = [line.weights @ (line.sample(side * h) - line.centre) for h in STEPS]
        slopes = np.array(moved) / (side * STEPS)
        if not np.isfinite(slopes).all() or not (slopes * gradient > 0).all():
            continue
        ratios = abs(slopes[1:]) / abs(slopes[:-1])
        if (ratios > LEAST).all() and abs(slopes[-1]) > GROWTH * abs(slopes[0]):
            return True
    return False


def without(quantity: "Quantity", places: Array) -> "Quantity":
    """The quantity with nothing to compare at those entries."""
    spread = quantity.spread
    return replace(
        quantity,
        gradient=np.where(places, 0, quantity.gradient).astype(quantity.gradient.dtype),
        spread=None if spread is None else np.where(places, 0.0, spread),
    )


def around(probes: list["Probe"], quantity: "Quantity", places: Array) -> list["Probe"]:
    """The probes that are left, with directions that do not lead along those entries."""
    kept = []
    for probe in probes:
        direction = np.where(places, 0.0, probe.direction)
        if direction.any():
            analytic = float((direction * quantity.gradient).sum())
            kept.append(replace(probe, direction=direction, analytic=analytic))
    return kept
