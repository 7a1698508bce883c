"""Another formula in the place of φ': that of −x, a root of it, one of y that is not the right one.

Where each entry of the input reaches one output, dx = dy·φ'(x). What was returned is dy·g, and g
is related to φ' in a way that says how it came about.
"""

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnose.atoms import Fit, fits
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.chain import smooth
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement, certainty, close, jacobian
from gradcheck.diagnose.pointwise import Samples, is_in_place, is_multiple, samples, varies
from gradcheck.verdict import Cause

Array = np.ndarray

POWERS = {0.5: "√|φ'(x)|", 1.5: "φ'(x)^(3/2)", 3.0: "φ'(x)³"}
"""Exponents that a derivative may get by mistake; its square is multiplied in twice."""

OF_OUTPUT = ("y·(1 − y)", "1 − y²")
"""Derivatives that are mostly written as functions of the output: of the sigmoid, of tanh."""

LEVEL, FEWEST = 10.0, 6
"""Slopes that are so many certainties apart are different, and so many of them vary."""

NEARBY = 1.1
"""Times x: slopes that are constant in pieces are the same there."""


def mirrored(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy·φ'(−x): the mask is turned around, or σ(x) stands for σ(−x)."""
    found, x = samples(evidence, i), evidence.inputs[i]
    if found is None or not is_in_place(jacobian(evidence, i)) or len(evidence.outputs) > 1:
        return
    near = certainty(evidence, i)
    if not varies(found.slope, near) or is_multiple(found, near):
        return
    there, nearby = (slope_at(evidence, i, np.asarray(at, x.dtype)) for at in (-x, NEARBY * x))
    here = slope_at(evidence, i, x)
    if there is None:
        return
    match = agreement(evidence, i, evidence.cotangents[0] * there)
    if here is not None and nearby is not None and close(here, nearby, near):
        name = evidence.names[i]
        region = (
            f"{name} > 0 and where {name} < 0: each side has the slope of the other, the mask is "
            "turned around"
        )
        yield cause("region-wrong", match, region=region)
    else:
        yield cause("activation-derivative-formula", match, taken="φ'(−x)", formula="φ'(x)")


def slope_at(evidence: Evidence, i: int, x: Array) -> Array | None:
    """∂y/∂x entry by entry at another x."""
    inputs = [x if k == i else a for k, a in enumerate(evidence.inputs)]
    slopes = evidence.slope(i, np.ones(x.shape), inputs)
    return None if slopes is None or slopes[0].shape != x.shape else slopes[0]


def power_of_slope(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy·|φ'|ᵏ: the square of a derivative forgotten, or too high a power of it."""
    found, near = samples(evidence, i), certainty(evidence, i)
    if found is None or len(np.unique(np.round(found.slope / (near * LEVEL)))) < FEWEST:
        return
    for power, taken in POWERS.items():
        other = np.sign(found.slope) * abs(found.slope) ** power
        if found.is_same(found.dy * other, near):
            yield cause("activation-derivative-formula", taken=taken, formula="φ'(x)")


def formula_of_output(evidence: Evidence, i: int) -> Iterator[Cause]:
    """φ' = 1 − y², and 1 − y was taken, or another function of y."""
    found, near = samples(evidence, i), certainty(evidence, i)
    if found is None or is_multiple(found, near):
        return
    with np.errstate(all="ignore"):
        right = of_output(found, found.slope, near)
        if right is None or bare(right.formula) not in OF_OUTPUT:
            return
        given = of_output(found, found.analytic / found.dy, near)
    formula = bare(right.formula)
    factors = [bare(factor) for factor in right.formula.split("·")]
    # A factor of the formula is what is missing, and that of another function has a name.
    if given is not None and bare(given.formula) not in (*factors, *OF_OUTPUT):
        yield cause("activation-derivative-formula", taken=given.formula, formula=formula)


def bare(formula: str) -> str:
    """Without brackets around the whole."""
    return formula[1:-1] if formula.startswith("(") else formula


def of_output(found: Samples, factor: Array, near: float) -> Fit | None:
    return next(smooth(fits(factor, found.dy, near, {"y": found.y})), None)


def power_rule_of_exponential(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = aˣ, and x·aˣ⁻¹ was taken: the rule for xⁿ, where the exponent does not vary."""
    found, near = samples(evidence, i), certainty(evidence, i)
    if found is None or not varies(found.slope, near) or not found.y.all():
        return
    rate = float(np.median(found.slope / found.y))
    if close(found.slope, rate * found.y, near) and found.is_same(
        found.dy * found.x * found.y * np.exp(-rate), near
    ):
        taken = "x·aˣ⁻¹, by the rule for xⁿ"
        yield cause("activation-derivative-formula", taken=taken, formula="aˣ·log a")


RECOGNISERS = (mirrored, power_of_slope, formula_of_output, power_rule_of_exponential)
