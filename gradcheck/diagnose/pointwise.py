"""Derivatives of functions in which every entry of the input reaches one output only.

Then dx = dy·s with s = φ'(x), and what was returned is dy·g with another g: which one?
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.atoms import fits
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    Jacobian,
    agreement,
    analytic_of,
    certainty,
    close,
    fresh_points,
    jacobian,
    remembered,
)
from gradcheck.diagnose.slope import slips
from gradcheck.verdict import Cause

Array = np.ndarray


BESIDE = "as in x + f(x)"
"""How an input reaches the output twice."""


SCALED = 0.97
"""The match where dy is multiplied by a constant in the place of the derivative."""


PLACES = 0.2
"""The share of entries with one slope from which on that is no chance."""


@dataclass(frozen=True)
class Samples:
    """Entry by entry, at the first point and at fresh ones.

    Attributes
    ----------
    x, y, dy : of an entry, the output that it reaches, and the cotangent there.
    slope : ∂y/∂x; dy·slope is right.
    analytic : what backward says.
    others : the other inputs where they belong to the same output.
    first : how many come from the first point.
    """

    x: Array
    y: Array
    dy: Array
    slope: Array
    analytic: Array
    others: dict[str, Array]
    first: int

    @property
    def numeric(self) -> Array:
        return np.asarray(self.dy * self.slope)

    def is_same(self, candidate: Array, certainty: float) -> bool:
        """Whether the candidate is what backward gives, and not just what is right."""
        return (
            np.isfinite(candidate).all()
            and close(candidate, self.analytic, certainty)
            and not close(candidate, self.numeric, certainty)
        )


def samples(evidence: Evidence, i: int) -> Samples | None:
    """None where entries reach several outputs, or the gradient has another shape."""
    return remembered(evidence, f"samples {i}", lambda: gather(evidence, i))


def gather(evidence: Evidence, i: int) -> Samples | None:
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None:
        return None
    at = evidence.inputs, evidence.cotangents, evidence.outputs
    first = part(i, found, *at, analytic.ravel()[found.entries], evidence.names)
    if first is None:
        return None
    parts = [first]
    for point in fresh_points(evidence, i):
        other = part(
            i, point.jacobian, point.inputs, point.cotangents, point.outputs, point.analytic,
            evidence.names,
        )  # fmt: skip
        parts += [] if other is None else [other]
    x, y, dy, slope, found_there = (
        np.concatenate([np.asarray(p[k]) for p in parts]) for k in range(5)
    )
    others = {name: np.concatenate([p[5][name] for p in parts]) for name in first[5]}
    return Samples(x, y, dy, slope, found_there, others, len(first[0]))


Part = tuple[Array, Array, Array, Array, Array, dict[str, Array]]


def part(
    i: int,
    found: Jacobian,
    inputs: list[Array],
    cotangents: list[Array],
    outputs: list[Array],
    analytic: Array,
    names: tuple[str, ...],
) -> Part | None:
    """The samples of one point."""
    if (found.reached.sum(axis=1) > 1).any() or not found.reached.any():
        return None
    output = np.where(found.reached.any(axis=1), found.reached.argmax(axis=1), -1)
    known = output >= 0
    is_alike = len(outputs) == 1 and outputs[0].shape == inputs[i].shape
    if is_alike and (output == found.entries)[known].all():
        output = found.entries  # a slope of zero, as of a dead ReLU, hides which one it is
    keep = (output >= 0) & np.isfinite(analytic)
    output, places = output[keep], np.flatnonzero(keep)
    others = {
        name: np.broadcast_to(np.asarray(a, np.float64), outputs[0].shape).ravel()[output]
        for j, (name, a) in enumerate(zip(names, inputs, strict=True))
        if j != i and is_floating(a) and len(outputs) == 1 and fits_in(a.shape, outputs[0].shape)
    }
    return (
        np.asarray(inputs[i], np.float64).ravel()[found.entries[keep]],
        flat(outputs)[output],
        flat(cotangents)[output],
        found.slopes[places, output],
        analytic[keep],
        others,
    )


def fits_in(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether an array of one shape can be broadcast to the other."""
    if len(shape) > len(larger):
        return False
    return all(a in (1, b) for a, b in zip(shape[::-1], larger[::-1], strict=False))


def varies(values: Array, certainty: float) -> bool:
    return (
        bool(np.ptp(values) > 10 * certainty * abs(values).max(initial=0)) if values.size else False
    )


def derivative_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy, though the derivative is not one."""
    found = samples(evidence, i)
    if found is None or not varies(found.slope, certainty(evidence, i)):
        return
    if found.is_same(found.dy, certainty(evidence, i)):
        factor = other_factor(found, found.slope, certainty(evidence, i))
        detail = f": the factor {factor}" if factor else ""
        yield cause("activation-derivative-missing", name=evidence.names[i], detail=detail)
    elif is_constant(found, certainty(evidence, i)):
        yield cause("activation-derivative-missing", SCALED, name=evidence.names[i])


def is_constant(found: Samples, tolerance: float) -> bool:
    """a = c·dy for one c, at every point."""
    norm = float(found.dy @ found.dy)
    factor = float(found.analytic @ found.dy) / norm if norm else 0.0
    is_own = abs(found.slope - factor) <= tolerance * abs(factor)  # it is right in a region
    return bool(factor) and is_own.mean() < PLACES and found.is_same(factor * found.dy, tolerance)


def is_in_place(found: Jacobian | None) -> bool:
    """Whether output k depends on entry k alone."""
    if found is None:
        return False
    places = np.argwhere(found.reached)
    return bool((found.entries[places[:, 0]] == places[:, 1]).all())


def other_factor(found: Samples, values: Array, tolerance: float) -> str:
    """The name of another input that the values are a function of, if any."""
    for fit in fits(values, np.ones(len(values)), tolerance, found.others):
        return fit.formula
    return ""


def derivative_at_output(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy·φ'(y)."""
    found, x = samples(evidence, i), evidence.inputs[i]
    if found is None or len(evidence.outputs) > 1 or evidence.outputs[0].shape != x.shape:
        return
    if not is_in_place(jacobian(evidence, i)):
        return
    inputs = [
        *evidence.inputs[:i],
        np.asarray(evidence.outputs[0], x.dtype),
        *evidence.inputs[i + 1 :],
    ]
    slopes = evidence.slope(i, np.ones(x.shape), inputs)
    if slopes is not None and varies(slopes[0], certainty(evidence, i)):
        match = agreement(evidence, i, evidence.cotangents[0] * slopes[0])
        yield cause("activation-derivative-at-output", match, name=evidence.names[i])


def slope_slips(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a·φ'(x) = n·(what was put in its place), whatever else the gradient is made of."""
    found = samples(evidence, i)
    if found is not None and not is_multiple(found, certainty(evidence, i)):
        near, name = certainty(evidence, i), evidence.names[i]
        yield from slips(name, found.analytic, found.numeric, found.x, near)


def mask_turned_around(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient is there where it must be 0, and 0 where it must be there."""
    found = samples(evidence, i)
    if found is None or (found.analytic * found.numeric).any():
        return
    given, right = found.analytic != 0, found.numeric != 0
    if min(given.sum(), right.sum()) > 1 and (given | right).all():
        region = "the gradient must be 0, and 0 where it is not: the mask is turned around"
        yield cause("region-wrong", region=region)


def output_formula_at_input(evidence: Evidence, i: int) -> Iterator[Cause]:
    """φ' = h(y), but h(x) was taken: 1 − x² for tanh."""
    found = samples(evidence, i)
    if found is None:
        return
    near = certainty(evidence, i)
    for fit in fits(found.slope, found.dy, near, {"y": found.y}):
        with np.errstate(all="ignore"):
            for at in fits(found.analytic / found.dy, found.dy, near, {"x": found.x}):
                if at.formula == fit.formula.replace("y", "x"):
                    yield cause("output-formula-at-input", right=fit.formula, found=at.formula)
                    return


def product_term_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = u(x)·v(x): one of the terms u'·v and u·v' is not there.

    u'·v = y·u'/u, whatever v is, so that only u must be guessed.
    """
    found = samples(evidence, i)
    if found is None or is_multiple(found, certainty(evidence, i)):
        return
    x, y, s, near = found.x, found.y, found.slope, certainty(evidence, i)
    with np.errstate(all="ignore"):
        factors = {
            "x": 1 / x, "x²": 2 / x, "x³": 3 / x, "1/x": -1 / x, "1/x²": -2 / x, "√x": 0.5 / x,
            "sin(x)": 1 / np.tan(x), "cos(x)": -np.tan(x), "log(x)": 1 / (x * np.log(x)),
        }  # fmt: skip
        for u, factor in factors.items():
            term = y * factor
            for kept, lost in ((term, s - term), (s - term, term)):
                is_there = not np.isfinite(lost).all() or abs(lost).max(initial=0) > near
                if is_there and abs(kept).max() and found.is_same(found.dy * kept, near):
                    which = f"({u})'·v" if kept is term else f"{u}·v'"
                    yield cause("product-rule-term-missing", u=u, kept=which)
                    return


def is_multiple(found: Samples, near: float) -> bool:
    """Whether the gradient is a constant times the right one."""
    norm = float(found.numeric @ found.numeric)
    factor = float(found.analytic @ found.numeric) / norm if norm else 0.0
    return close(factor * found.numeric, found.analytic, near)


def path_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = x + f(x), one of the two forgotten. It need not be a pointwise f."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None or not known.any() or known.size < 2:
        return
    dys = [dy for dy in evidence.cotangents if dy.shape == analytic.shape]
    found = samples(evidence, i)
    if not dys or (found is not None and is_multiple(found, certainty(evidence, i))):
        return
    match = agreement(evidence, i, np.where(known, evidence.numeric[i], 0.0) - dys[0])
    yield cause("path-missing", match, name=evidence.names[i], how=BESIDE)
    if found is None:
        match = agreement(evidence, i, dys[0])
        yield cause("path-missing", match, name=evidence.names[i], how=BESIDE)


RECOGNISERS = (
    derivative_missing,
    derivative_at_output,
    slope_slips,
    mask_turned_around,
    output_formula_at_input,
    product_term_missing,
    path_missing,
)
