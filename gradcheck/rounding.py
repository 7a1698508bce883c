"""How far rounding moves a gradient, seen from outside: let it round in another way, and look."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import jitter, largest_difference
from gradcheck.relations import Point
from gradcheck.subject import Subject, is_real

Array = np.ndarray

JITTERS = 3
"""How often the gradient is computed again at inputs moved by one unit in the last place."""

FACTORS = (3.0, 0.7, -1.3)
"""What the cotangents are multiplied by, and the gradient divided by again."""

UNREMARKABLE = {8: 1e-10, 4: 1e-3}
"""By item size, relative to the largest entry: how far rounding moves most gradients at most."""


def spreads(subject: Subject, point: Point, rng: np.random.Generator, is_fixed: bool) -> list[Any]:
    """For each gradient, how far rounding moves every entry; None where there is none.

    Every input is moved by one unit in the last place, and the cotangents are multiplied by
    what is no power of two, so all that backward computes from them rounds in another way.
    """
    plain = jittered(subject, point, rng, [1.0] * JITTERS)
    if is_fixed:
        return plain
    scaled = jittered(subject, point, rng, FACTORS)
    return [
        None if near is None else np.fmax(near, far) if is_rounding(g, near, far) else near
        for g, near, far in zip(point.gradients, plain, scaled, strict=True)
    ]


def jittered(
    subject: Subject, point: Point, rng: np.random.Generator, factors: Sequence[float]
) -> list[Any]:
    others = []
    for factor in factors:
        cotangents = [np.asarray(c * factor, c.dtype) for c in point.cotangents]
        gradients = subject.gradients(cotangents, jitter(point.inputs, rng))
        others.append([g / factor if is_real(g) else g for g in gradients])
    return [
        largest_difference(g, [other[i] for other in others]) if is_real(g) else None
        for i, g in enumerate(point.gradients)
    ]


def is_rounding(gradient: Array, near: Array, far: Array) -> bool:
    """Whether what other cotangents do to a gradient may be called rounding.

    It must be tiny, or no more than what other inputs do to it, too: a backward that computes
    in float32 moves by 1e-8, and that is no excuse for it in float64; nor is it one in float32
    that the sign of a cotangent is masked.
    """
    unremarkable = UNREMARKABLE.get(gradient.dtype.itemsize, UNREMARKABLE[8])
    allowed = unremarkable * abs(gradient).max(initial=0) + 100 * near.max(initial=0)
    return bool(far.max(initial=0) <= allowed)
