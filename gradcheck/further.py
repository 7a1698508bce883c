"""A gradient that is right at one point, at others: right there by chance, or by state?"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.compare import compare, directions
from gradcheck.diagnose.causes import cause
from gradcheck.points import further_points, other_ranges
from gradcheck.relations import Point
from gradcheck.rounding import spreads
from gradcheck.structure import INTERVAL, SORTED, structure_of
from gradcheck.subject import Raised, same
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding

if TYPE_CHECKING:
    from gradcheck.examine import Examination

Array = np.ndarray

RIGHT_HERE = "right here, wrong"
"""How the note of such a finding begins."""

DIRECTIONS = 2
"""At each further point, so many directions of each array."""

CERTAIN, FIRST = 0.65, 0.9
"""The score from which on a region is one of values, and the one that it then gets."""

NEGLIGIBLE = {8: 1e-9, 4: 1e-5}
"""By item size: less than this share of the gradient at the first point is no mistake, but what
rounding leaves where a function is saturated."""


FAR = 100.0
"""Times the inputs: so far they are moved to see whether forward depends on them at all."""


def look_elsewhere(examination: "Examination") -> None:
    """Every gradient that passed, along directions at further points."""
    first = examination.point
    steady: set[int] = set()
    examination.notes += kept_structures(examination)
    for title, inputs, verdict in points_of(examination):
        try:
            outputs = examination.subject.outputs(inputs)
        except Raised:
            continue  # outside the domain
        if not all(np.isfinite(y).all() for y in outputs):
            continue
        cotangents = first.cotangents
        if any(c.shape != y.shape for c, y in zip(cotangents, outputs, strict=True)):
            if examination.settings.is_fixed or examination.settings.cotangents is not None:
                continue
            cotangents = examination.draw_cotangents(outputs)
        try:
            gradients = examination.subject.gradients(cotangents, inputs)
            there = Point(inputs, cotangents, outputs, gradients)
            steady |= compare_there(examination, title, there, steady, verdict)
        except Raised as raised:
            examination.notes.append(f"{title}: {raised}")


def points_of(examination: "Examination") -> Iterator[tuple[str, list[Any], str]]:
    """Points, how to call them, and the verdict on a gradient that is wrong there.

    In another range than all that the caller gave, inputs may be none that the function is for:
    a gradient that is wrong there is inconclusive.
    """
    inputs, rng = examination.inputs, examination.rng
    outputs, differentiated = examination.point.outputs, examination.differentiated
    for title, point in further_points(inputs, outputs, differentiated, rng):
        yield title, point, FAIL
    names, domain = examination.subject.names, examination.settings.domain
    for title, point in other_ranges(inputs, names, examination.places(), domain, rng):
        yield title, point, INCONCLUSIVE


def kept_structures(examination: "Examination") -> Iterator[str]:
    """What inputs keep to at all points, where the gradient may rely on it."""
    failed = {f.name for f in examination.findings if f.verdict == FAIL}
    for i in examination.places():
        structure = structure_of(examination.inputs[i])
        name = examination.subject.names[i]
        if structure not in (None, INTERVAL, SORTED) and name not in failed:
            yield f"{name} is {structure.name}: so it was at the other points, too"


def compare_there(
    examination: "Examination", title: str, point: Point, steady: set[int], verdict: str
) -> set[int]:
    """The gradients of one further point; the first that is wrong has all of it examined.

    Those are returned that are right here, and the same as at the first point: where they are
    wrong later it is not for a cache.
    """
    settings, names, right = examination.settings, examination.subject.names, set()
    open_still = {f.name for f in examination.findings if f.verdict == PASS}
    open_still |= {f.name for f in examination.findings if f.verdict != FAIL and verdict == FAIL}
    rounding = spreads(examination.subject, point, examination.rng, settings.is_fixed)
    wide: list[Any] = [
        a.astype(w.dtype) if is_floating(a) else a
        for a, w in zip(point.inputs, examination.wide, strict=True)
    ]
    for i in examination.places():
        gradient = point.gradients[i]
        if names[i] not in open_still or gradient is None or rounding[i] is None:
            continue
        if gradient.shape != point.inputs[i].shape:
            continue  # what the pair keeps does not fit fewer rows: at the first point it did
        if is_degenerate(examination, point, i):
            what = f"forward does not depend on {names[i]}, and backward is not finite"
            examination.notes.append(f"{title}, {what}: nothing was checked there")
            continue
        quantity = examination.quantity(i, wide, gradient, flat(point.cotangents), rounding[i])
        places = directions(gradient.astype(np.float64), examination.rng, DIRECTIONS)
        comparison = compare(quantity, examination.rng, places)
        examination.checked += comparison.count
        is_same = same(gradient, examination.point.gradients[i])
        if comparison.finding.verdict == PASS and is_same:
            right.add(i)
        if comparison.finding.verdict == FAIL and not is_negligible(
            comparison.finding, examination.point.gradients[i]
        ):
            finding = replace(comparison.finding, verdict=verdict)
            detail = stale(examination, point, i, is_same and i not in steady)
            report_there(examination, title, point, i, finding, detail)
    return right


def stale(examination: "Examination", point: Point, i: int, is_same: bool) -> str:
    """What shows that the pair remembers an earlier call; empty where nothing does."""
    if is_same:
        return "other inputs give the same gradient as the first"
    try:
        first = examination.subject.gradients_at_first(point.cotangents, point.inputs)
    except Raised:
        return ""
    if first is None or first[i] is None or same(first[i], point.gradients[i]):
        return ""
    return "where these inputs are the first that are seen, the gradient is another one"


def is_degenerate(examination: "Examination", point: Point, i: int) -> bool:
    """Whether a batch of another size leaves forward without a derivative.

    A deviation over the batch is zero for one row, whatever that is, and its gradient 0/0. The
    size is ours: a function that is for batches has no mistake there.
    """
    gradient, x = point.gradients[i], point.inputs[i]
    if x.shape == examination.inputs[i].shape or np.isfinite(gradient).all():
        return False
    other = list(point.inputs)
    for size in (1.0, FAR):
        moved = x + size * (1 + abs(x)) * examination.rng.standard_normal(x.shape)
        other[i] = moved.astype(x.dtype)
        outputs = examination.subject.outputs(other)
        if not all(same(a, b) for a, b in zip(outputs, point.outputs, strict=True)):
            return False
    return True


def is_negligible(finding: Finding, first: Array) -> bool:
    here = float(abs(first).max(initial=0))
    return bool(
        abs(finding.analytic - finding.numeric) <= NEGLIGIBLE.get(first.dtype.itemsize, 0.0) * here
    )


def report_there(
    examination: "Examination", title: str, point: Point, i: int, finding: Finding, detail: str
) -> None:
    """The finding of that array, with the causes that an examination of the point gives.

    That looks entry by entry, so it has the last word: a direction that crosses kinks of several
    entries at once is no proof.
    """
    name = examination.subject.names[i]
    if detail:
        causes: tuple[Cause, ...] = (cause("stale-cache", detail=detail),)
    else:
        there = {f.name: f for f in examination.at(point)}
        if name in there and there[name].verdict != FAIL:
            return
        finding = replace(there.get(name, finding), verdict=finding.verdict)
        causes = tuple(preferred(c) for c in finding.causes if c.slug != "unrelated")
        if "region-wrong" not in {c.slug for c in causes}:
            causes += (cause("region-wrong", 0.5, region=f"not here, but {title}"),)
        causes = tuple(sorted(causes, key=lambda found: -found.score))
    place = [k for k, f in enumerate(examination.findings) if f.name == name]
    note = f"{RIGHT_HERE} {title}"
    if finding.verdict == INCONCLUSIVE:
        note += ": if it never is, say so with domain="
    examination.findings[place[0]] = replace(finding, note=note, causes=causes)


def preferred(found: Cause) -> Cause:
    """A region of x goes first: it says why the first point was right, too."""
    is_certain = found.slug == "region-wrong" and found.score > CERTAIN
    return replace(found, score=FIRST) if is_certain else found
