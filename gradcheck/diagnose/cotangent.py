"""How a backward that is not linear in its cotangent treats it.

B(c·dy) for a few c tells most mechanisms apart: what is clipped stays as it is for large c and
is right for small ones; what is masked is right for one sign; an addend is left at c = 0.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gradcheck import relations
from gradcheck.arrays import float_dtype
from gradcheck.diagnose.causes import cause
from gradcheck.subject import Raised, Subject, is_real
from gradcheck.verdict import Cause

Array = np.ndarray
At = Callable[[float], Array | None]

NOTES = {
    -1.0: "a cotangent of the other sign does not give the gradient of the other sign",
    2.0**10: "a larger cotangent does not give a gradient larger by as much",
    2.0**-12: "a smaller cotangent does not give a gradient smaller by as much",
    0.0: "the gradient is not zero where the cotangent is zero",
}

SAME = {4: 1e-3, 8: 1e-6}
"""By item size, relative to the largest entry: how near two gradients count as equal."""

LARGE = (2.0**20, 2.0**21)
"""Times dy: large enough that whatever is clipped is so wholly."""

SMALL = (2.0**-20, 2.0**-21)
"""Times dy: small enough that nothing is clipped."""

LEAVES = 0.05
"""Relative: so far off, a gradient has left the line that it is on for small cotangents."""

HALVINGS = 11
"""Of the factor from which on clipping shows: its limit is then known to a few per cent."""

WITHIN = 0.95
"""The match where entries with one sign get another factor than the others, somewhere inside."""

UNKNOWN = 0.4
"""The match of a backward whose nonlinearity has no name."""


def nonlinear(subject: Subject, point: relations.Point) -> Iterator[relations.Broken]:
    """One broken relation for each gradient that is not linear in the cotangent."""
    seen: dict[int, list[float]] = {}
    for i, factor, _, _ in relations.linear(subject, point):
        seen.setdefault(i, []).append(factor)
    for i, factors in seen.items():
        note = NOTES[factors[0]]
        yield relations.Broken(subject.names[i], recognise(subject, point, i, factors), note)


def recognise(subject: Subject, point: relations.Point, i: int, factors: list[float]) -> Cause:
    """The mechanism, from what multiples of the cotangent give."""
    size = max(float(abs(c).max(initial=0)) for c in point.cotangents)
    for found in (
        ignored(times(subject, point, i, np.asarray)),
        added(times(subject, point, i, np.asarray)),
        masked(times(subject, point, i, np.asarray), times(subject, point, i, np.abs)),
        leaky(subject, point, i),
        quadratic(times(subject, point, i, np.asarray)),
        clipped(times(subject, point, i, np.asarray), size),
    ):
        if found is not None:
            return found
    return cause("cotangent-nonlinear", UNKNOWN, detail=NOTES[factors[0]])


def times(subject: Subject, point: relations.Point, i: int, of: Callable[[Array], Array]) -> At:
    """c to gradient i for c·dy, or for what `of` makes of dy; None where there is none."""

    def at(factor: float) -> Array | None:
        cotangents = [np.asarray(of(c) * factor, c.dtype) for c in point.cotangents]
        try:
            found = subject.gradients(cotangents, point.inputs)[i]
        except Raised:
            return None
        if not is_real(found) or not np.isfinite(found).all():
            return None
        return np.asarray(found, float_dtype(found))

    return at


def all_of(at: At, factors: Sequence[float]) -> list[Array] | None:
    """The gradients at all factors, or None if one of them is missing."""
    found = [g for factor in factors if (g := at(factor)) is not None]
    is_whole = len(found) == len(factors) and len({g.shape for g in found}) == 1
    return found if is_whole else None


def equal(a: Array, b: Array) -> bool:
    """The same, relative to the largest entry of both; nothing equals zeros but zeros."""
    scale = max(abs(a).max(initial=0), abs(b).max(initial=0))
    return bool(abs(a - b).max(initial=0) <= SAME.get(a.dtype.itemsize, 1e-6) * scale)


def ignored(at: At) -> Cause | None:
    """B(c·dy) = B(dy) for every c."""
    found = all_of(at, (1.0, -1.0, 2.0**10, 0.0))
    if found is None or not found[0].any():
        return None
    return cause("cotangent-ignored") if all(equal(g, found[0]) for g in found) else None


def added(at: At) -> Cause | None:
    """B(c·dy) − B(0) is linear: there is a term that dy does not multiply."""
    found = all_of(at, (0.0, 1.0, -1.0, 4.0))
    if found is None or not found[0].any():
        return None
    addend, plus, minus, more = found
    if not equal(plus - addend, addend - minus) or not equal(4 * (plus - addend), more - addend):
        return None
    entries = f"{addend.flat[0]:.4g}" if equal(addend, np.full_like(addend, addend.flat[0])) else (
        f"up to {abs(addend).max():.4g}"
    )  # fmt: skip
    return cause("term-without-cotangent", detail=entries)


def masked(at: At, at_absolute: At) -> Cause | None:
    """B(c·dy) = c·B(dy) for c > 0 only: the sign of dy, or of the gradient, matters."""
    found = all_of(at, (1.0, -1.0, 4.0))
    signs = all_of(at_absolute, (1.0, -1.0))
    if found is None or signs is None or not equal(4 * found[0], found[2]):
        return None
    plus, minus = found[:2]
    if equal(plus, -minus):
        return None
    if sum(bool(g.any()) for g in signs) == 1:
        return cause("cotangent-masked")
    is_apart = not (plus * minus).any() and (plus.any() or minus.any())
    if is_apart and (one_sign(plus) and one_sign(minus)):
        return cause("cotangent-masked", 0.97)
    if equal(plus, minus):
        return cause("cotangent-nonlinear", detail="its sign is lost, as in |dy|")
    return None if is_leaky(plus, minus) else cause("cotangent-masked", WITHIN)


def leaky(subject: Subject, point: relations.Point, i: int) -> Cause | None:
    """Entries of one sign get another factor: constants that dy chooses, as a mask on it does."""
    at, at_absolute = (times(subject, point, i, of) for of in (np.asarray, np.abs))
    found, signs = all_of(at, (1.0, -1.0, 4.0)), all_of(at_absolute, (1.0, -1.0))
    if found is None or signs is None or not equal(4 * found[0], found[2]):
        return None
    if equal(found[0], -found[1]) or not is_leaky(*found[:2]):
        return None
    dy = point.cotangents[0]
    if len(point.cotangents) == 1 and dy.shape == signs[0].shape and bool(dy.all()):
        slopes = [float(np.median(s / abs(dy))) for s in (signs[0], -signs[1])]
        if all(equal(s, c * abs(dy)) for s, c in zip((signs[0], -signs[1]), slopes, strict=True)):
            factor = min(slopes, key=abs) / max(slopes, key=abs)
            return cause("cotangent-masked", detail=f", but for a factor of {factor:.3g}")
    detail = "entries with one sign get another factor than the others"
    return cause("cotangent-nonlinear", detail=detail)


def is_leaky(plus: Array, minus: Array) -> bool:
    """Whether each entry is larger by the same factor for one sign of dy, and none is dropped."""
    plus, minus = abs(plus), abs(minus)
    known = (plus > 0) & (minus > 0)
    if not known.any() or ((plus > 0) != (minus > 0)).any():
        return False
    ratios = np.maximum(plus, minus)[known] / np.minimum(plus, minus)[known]
    return equal(ratios, np.full_like(ratios, ratios[0]))


def one_sign(gradient: Array) -> bool:
    return bool((gradient >= 0).all() or (gradient <= 0).all())


def quadratic(at: At) -> Cause | None:
    """B(c·dy) = c·a + c²·b: dy is multiplied by something that dy has changed."""
    found = all_of(at, (1.0, -1.0, 4.0))
    if found is None:
        return None
    plus, minus, more = found
    odd, even = (plus - minus) / 2, (plus + minus) / 2
    if not even.any() or not equal(4 * odd + 16 * even, more):
        return None
    what = "it grows with the square of dy"
    if odd.any():
        what = (
            "a part of it grows with the square of dy, as where weights that dy has updated "
            "already are used for dx"
        )
    return cause("cotangent-nonlinear", 1.0 if odd.any() else 0.9, detail=what)


def clipped(at: At, size: float) -> Cause | None:
    """Bounded for large c, linear for small c."""
    large, small = all_of(at, LARGE), all_of(at, SMALL)
    if large is None or small is None or not equal(*large):
        return None
    if not small[0].any() or not equal(small[0], 2 * small[1]):
        return None
    slope = small[0] / SMALL[0]
    how = "clipped" if large[0].any() else "dropped"
    sizes = abs(large[0][large[0] != 0])
    if len(sizes) > 1 and equal(sizes, np.full_like(sizes, sizes[0])) and varied(slope):
        return cause("cotangent-clipped", what="entries of the gradient", how=how, limit=sizes[0])
    limit = size * last_linear(at, slope)
    return cause("cotangent-clipped", what="entries of dy", how=how, limit=limit)


def varied(slope: Array) -> bool:
    """Whether the entries are of different sizes, so that equal ones were made so."""
    sizes = abs(slope[slope != 0])
    return bool(sizes.max(initial=0) > 1.01 * sizes.min(initial=np.inf))


def last_linear(at: At, slope: Array) -> float:
    """About the largest c for which B(c·dy) is c·slope."""
    low, high = np.log2(SMALL[0]), np.log2(LARGE[0])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = at(2.0**middle)
        line = 2.0**middle * slope
        is_linear = found is not None and abs(found - line).max() <= LEAVES * abs(line).max()
        low, high = (middle, high) if is_linear else (low, middle)
    return float(2.0**low)
