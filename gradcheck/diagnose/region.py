"""Regions: right in some places and wrong in others. Which are they?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from gradcheck.arrays import flat
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import analytic_of, fresh_points, jacobian_at
from gradcheck.verdict import Cause

Array = np.ndarray

BLOCKS = (64, 32, 16, 8, 4, 2)
"""Sizes of blocks that loops are unrolled or vectorised by."""

FEWEST = 3
"""Wrong entries, for their values to have something in common."""

THROWS = 4
"""Times that further values of x are drawn, where too few were in a region to tell which."""

AGAIN = 0.25
"""The share of further places at which x has a value that was seen in the smaller part."""

SURE = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 2e-3}
"""Relative to the largest entry: what is off by more is wrong, at fresh points."""


TELLING = 30.0
"""Times `SURE`: entries that are smaller could be wrong and not be seen to be."""


@dataclass(frozen=True)
class Places:
    """Entries: value of x, whether the gradient is wrong, what it is and should be."""

    x: Array
    is_wrong: Array
    analytic: Array
    numeric: Array


def wrong_entries(evidence: Evidence, i: int) -> Array | None:
    """Where the gradient is wrong beyond its error bar; None if that is everywhere or nowhere."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None or not known.any():
        return None
    off = ~(abs(analytic - evidence.numeric[i]) <= evidence.error_bars[i]) & known
    return off if off.any() else None


def places(evidence: Evidence, i: int, wrong: Array) -> Places:
    """Of the first point and the fresh ones."""
    known = evidence.measured(i)
    analytic = np.asarray(evidence.analytic[i], np.float64)
    parts = [(evidence.inputs[i][known], wrong[known], analytic[known], evidence.numeric[i][known])]
    sure = SURE.get(evidence.analytic[i].dtype, 1e-8)
    sure = max(sure, SURE.get(evidence.inputs[i].dtype, 1e-8))
    for point in fresh_points(evidence, i):
        off = ~(abs(point.analytic - point.numeric) <= sure * abs(point.numeric).max(initial=0))
        parts.append((point.inputs[i].ravel()[point.entries], off, point.analytic, point.numeric))
    x, off, found, right = (np.concatenate([np.asarray(p[k]) for p in parts]) for k in range(4))
    size = np.fmax(abs(found), abs(right))
    telling = off | (size > TELLING * sure * size.max(initial=0))
    return Places(x[telling], off[telling], found[telling], right[telling])


def joined(parts: Sequence[Places]) -> Places:
    return Places(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Places)))


def thrown(evidence: Evidence, i: int, values: Array) -> Iterator[Places]:
    """Further places, of x anywhere between the smallest and the largest that were given.

    At some of them it has one of these values, of which there are few.
    """
    x = evidence.inputs[i]
    sure = max(SURE.get(dtype, 1e-8) for dtype in (evidence.analytic[i].dtype, x.dtype))
    for _ in range(THROWS):
        anywhere = evidence.rng.uniform(x.min(), x.max(), x.shape)
        again = evidence.rng.random(x.shape) < AGAIN
        value = np.asarray(np.where(again, evidence.rng.choice(values, x.shape), anywhere), x.dtype)
        inputs = [value if k == i else a for k, a in enumerate(evidence.inputs)]
        found, gradients = jacobian_at(evidence, i, inputs), evidence.gradients_at(inputs=inputs)
        if found is None or gradients is None or np.shape(gradients[i]) != x.shape:
            return
        right = found.slopes @ flat(evidence.cotangents)
        given = np.asarray(gradients[i], np.float64).ravel()[found.entries]
        off = ~(abs(given - right) <= sure * abs(right).max(initial=0))
        size = np.fmax(abs(given), abs(right))
        telling = off | (size > TELLING * sure * size.max(initial=0))
        at = value.ravel()[found.entries]
        yield Places(at[telling], off[telling], given[telling], right[telling])


def by_value(evidence: Evidence, i: int) -> Iterator[Cause]:
    """x > t, x < t, |x| > t, |x| < t."""
    wrong = wrong_entries(evidence, i)
    if wrong is None or (wrong[evidence.measured(i)].all() and wrong.size > 1):
        return
    found = places(evidence, i, wrong)
    if 0 < min(found.is_wrong.sum(), (~found.is_wrong).sum()) < FEWEST:
        fewer = found.x[found.is_wrong == (2 * found.is_wrong.sum() < len(found.x))]
        found = joined([found, *thrown(evidence, i, fewer)])
    if found.is_wrong.sum() < FEWEST or (~found.is_wrong).sum() < FEWEST:
        return
    best = min(split(found, evidence.names[i]), key=lambda region: (region[0], len(region[1])))
    misfit, region, inside = best
    if misfit > 0.04:
        return
    detail = what_is_there(found, inside & found.is_wrong)
    yield cause("region-wrong", 1.0 - 2 * misfit, region=region + detail)


def by_zero(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Wrong just where the right gradient is 0, or just where this one is."""
    wrong, known = wrong_entries(evidence, i), evidence.measured(i)
    if wrong is None or wrong[known].all() or wrong.sum() < FEWEST:
        return
    numeric, analytic = evidence.numeric[i][known], np.asarray(evidence.analytic[i])[known]
    is_wrong, bars = wrong[known], evidence.error_bars[i][known]
    name = evidence.names[i]
    if (abs(numeric) <= bars)[is_wrong].all() and (abs(numeric) > bars)[~is_wrong].all():
        what = (
            f"y does not depend on {name}, so that the gradient must be 0 there: a mask is missing"
        )
        yield cause("region-wrong", 0.9, region=what)
    if (analytic == 0)[is_wrong].all() and (analytic != 0)[~is_wrong].all():
        yield cause("region-wrong", 0.85, region="this gradient is 0: too much is masked")


def split(found: Places, name: str) -> Iterator[tuple[float, str, Array]]:
    """For each kind of region the best threshold: (share of entries it misses, words, mask)."""
    for values, sign, words in (
        (found.x, 1, f"{name} >"), (found.x, -1, f"{name} <"),
        (abs(found.x), 1, f"|{name}| >"), (abs(found.x), -1, f"|{name}| <"),
    ):  # fmt: skip
        order = np.argsort(values)
        v, w = values[order], found.is_wrong[order]
        below = np.concatenate([[0], np.cumsum(w)])
        above = np.concatenate([np.cumsum((~w)[::-1])[::-1], [0]])
        misses = below + above if sign > 0 else (len(w) - above - below)
        # the first k are outside: those wrong there, and those right beyond, do not fit
        if sign < 0:
            misses = np.concatenate([[0], np.cumsum(~w)]) + (below[-1] - below)
        ties = np.concatenate([[False], v[1:] == v[:-1], [False]])
        k = int(np.where(ties, len(w) + 1, misses).argmin())
        if k in (0, len(w)):
            continue
        threshold = roundest(float(v[k - 1]), float(v[k]))
        inside = values > v[k - 1] if sign > 0 else values < v[k]
        share = float(misses[k]) / max(1, min(w.sum(), (~w).sum()))
        yield share, f"{words} {threshold:g}", inside
    yield 1.0, "", np.zeros(len(found.x), bool)


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits between the two."""
    if low <= 0 <= high:
        return 0.0
    for digits in range(12):
        unit = 10.0 ** (np.floor(np.log10(max(abs(low), abs(high)))) - digits)
        for step in (1.0, 0.5):
            candidate = float(np.ceil(low / (unit * step)) * unit * step)
            if low <= candidate <= high:
                return candidate
    return low


def what_is_there(found: Places, inside: Array) -> str:
    """What the gradient is in the region, if that is simple."""
    analytic, numeric = found.analytic[inside], found.numeric[inside]
    if not np.isfinite(analytic).all():
        return ", where the gradient is not finite"
    if not analytic.any():
        return ", where the gradient is 0"
    if not numeric.any():
        return ", where the gradient should be 0"
    with np.errstate(all="ignore"):
        ratios = analytic / numeric
    if np.isfinite(ratios).all() and np.ptp(ratios) < 1e-3 * abs(ratios).max():
        return f", where the gradient is {np.median(ratios):.4g} times the right one"
    return ""


def by_index(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Rows, columns, first and last ones, the diagonal, a single entry."""
    wrong, known = wrong_entries(evidence, i), evidence.measured(i)
    if wrong is None or wrong.size == 1:
        return
    known = known & (wrong | (abs(evidence.numeric[i]) > evidence.error_bars[i]))
    count, total = int(wrong.sum()), wrong.size
    if known.sum() == 1:
        index = tuple(int(k) for k in np.argwhere(wrong)[0])
        yield cause("entries-wrong", count=1, total=total, where=f"at {bare(index)} alone")
        return
    if wrong[known].all():
        yield cause(
            "entries-wrong", 0.4, count="all", total=f"{known.sum()} measured", where="everywhere"
        )
        return
    yield from tail(evidence, i, wrong)
    for where in patterns(wrong, known):
        yield cause("region-wrong", 0.84, region=f"the index is in {where}")
        yield cause("entries-wrong", count=count, total=int(known.sum()), where=f"those of {where}")
        return
    index = tuple(int(k) for k in np.argwhere(wrong)[0])
    where = f"at {bare(index)} alone" if count == 1 else f"the first at {bare(index)}"
    yield cause("entries-wrong", count=count, total=int(known.sum()), where=where)


def bare(index: tuple[int, ...]) -> str:
    return f"[{', '.join(str(k) for k in index)}]"


def patterns(wrong: Array, known: Array) -> Iterator[str]:
    """The index sets with a name that the wrong entries are, among the known ones."""
    if wrong.sum() < 2:
        return
    for axis, n in enumerate(wrong.shape):
        others = tuple(k for k in range(wrong.ndim) if k != axis)
        lines = np.flatnonzero(wrong.any(axis=others))
        full = np.take(wrong, lines, axis) == np.take(known, lines, axis)
        if len(lines) < n and wrong.ndim > 1 and full.all():
            noun = (
                {0: "row", 1: "column"}.get(axis, f"axis {axis}")
                if wrong.ndim == 2
                else f"axis {axis}"
            )
            yield f"{noun} {', '.join(str(k) for k in lines[:6])}{'' if len(lines) < 7 else ' …'}"
    index = np.asarray(np.indices(wrong.shape))
    if wrong.ndim == 2:
        row, column = index
        shapes = {
            "the diagonal": row == column, "outside the diagonal": row != column,
            "the upper triangle": row < column, "the lower triangle": row > column,
            "the upper triangle with the diagonal": row <= column,
            "the lower triangle with the diagonal": row >= column,
            "the border": (row == 0) | (column == 0) | (row == wrong.shape[0] - 1)
            | (column == wrong.shape[1] - 1),
        }  # fmt: skip
        for name, mask in shapes.items():
            if (wrong == (mask & known)).all():
                yield name
    flat_index = np.arange(wrong.size).reshape(wrong.shape)
    for start in (0, 1):
        for name, order in (
            ("flat index", flat_index),
            *((f"axis {k}", a) for k, a in enumerate(index)),
        ):
            for step in (2, 4, 8):
                if (wrong == ((order % step == start) & known)).all():
                    yield f"every {step}th place from {start} on, along the {name}"
    order = flat_index[wrong]
    for name, span in (("first", flat_index <= order.max()), ("last", flat_index >= order.min())):
        if (wrong == (span & known)).all():
            yield f"the {name} {int(span.sum())} of {wrong.size} places"


def tail(evidence: Evidence, i: int, wrong: Array) -> Iterator[Cause]:
    """The last entries along an axis, or of all, are not what they should be."""
    known = evidence.measured(i)
    flat_index = np.arange(wrong.size).reshape(wrong.shape)
    axes = [
        (f"along axis {k}", a, wrong.shape[k])
        for k, a in enumerate(np.asarray(np.indices(wrong.shape)))
    ]
    for name, index, size in [*axes, ("in memory", flat_index, wrong.size)]:
        start = int(index[wrong].min())
        if start == 0 or not (wrong == ((index >= start) & known)).all():
            continue
        if size - start > size // 2 + 1 or size - start >= max(BLOCKS):
            continue
        values = np.asarray(evidence.analytic[i])[wrong]
        match = 1.0 if not values.any() or not np.isfinite(values).all() else 0.8
        blocks = [b for b in BLOCKS if start % b == 0 and size - start < b]
        detail = (
            f"{size} is no multiple of {blocks[0]}: " if blocks else "the loop ends too early: "
        )
        detail += (
            f"a loop in blocks of {blocks[0]} without its tail" if blocks else "look at its end"
        )
        yield cause("tail-not-computed", match, count=size - start, axis=name, detail=detail)
        return


RECOGNISERS = (by_value, by_zero, by_index)
