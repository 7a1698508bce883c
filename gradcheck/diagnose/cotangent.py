"""How a backward that is not linear in its cotangent treats it."""

from collections.abc import Iterator

import numpy as np

from gradcheck import relations
from gradcheck.diagnose.causes import cause
from gradcheck.subject import Subject
from gradcheck.verdict import Cause

Array = np.ndarray

NOTES = {
    -1.0: "a cotangent of the other sign does not give the gradient of the other sign",
    2.0**10: "a larger cotangent does not give a gradient larger by as much",
    2.0**-12: "a smaller cotangent does not give a gradient smaller by as much",
    0.0: "the gradient is not zero where the cotangent is zero",
}


def nonlinear(subject: Subject, point: relations.Point) -> Iterator[relations.Broken]:
    """One broken relation for each gradient that is not linear in the cotangent."""
    seen: dict[int, dict[float, Array]] = {}
    for i, factor, other, _ in relations.linear(subject, point):
        seen.setdefault(i, {})[factor] = other
    for i, found in seen.items():
        note = NOTES[next(iter(found))]
        yield relations.Broken(subject.names[i], recognise(point, i, found), note)


def recognise(point: relations.Point, i: int, found: dict[float, Array]) -> Cause:
    """Ignored, masked or clipped: from what other multiples of the cotangent give."""
    gradient = point.gradients[i].astype(np.float64)
    scale = abs(gradient).max(initial=0)
    if all(abs(other - gradient).max(initial=0) <= 1e-6 * scale for other in found.values()):
        return cause("cotangent-ignored")
    if -1.0 in found and 2.0**10 not in found:
        return cause("cotangent-masked")
    if 2.0**10 in found:
        limit = max(abs(c).max(initial=0) for c in point.cotangents)
        return cause("cotangent-clipped", limit=limit)
    return cause("cotangent-nonlinear", detail=NOTES[next(iter(found))])
