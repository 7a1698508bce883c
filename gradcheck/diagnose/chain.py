"""Factors of a pointwise derivative: one too many, one too few, another function's, a wrong power.

Where each entry of the input reaches one output, dx = dy·φ'(x), and what was returned is dy·g:
what g is, and what it is short of, is looked for among simple functions.
"""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import flat
from gradcheck.diagnose.atoms import Fit, fits, power_of
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    analytic_of,
    certainty,
    close,
    fresh_cotangents,
    jacobian_at,
)
from gradcheck.diagnose.pointwise import Samples, is_multiple, samples, varies
from gradcheck.verdict import Cause

Array = np.ndarray

UNNAMED = 0.6
"""The match of a derivative that has no name: that it is one is known, and not which."""

PARTLY = 0.9
"""The match of a missing derivative, where a factor of it is missing and may not be all of it."""

IN_A_TERM = 0.9
"""The match of a factor that is missing in one of several terms, of which none is known."""

FEWEST = 5
"""So many entries at least, for a derivative without a name."""


def uneven(evidence: Evidence, i: int) -> Samples | None:
    """The samples, unless one factor makes all of them right."""
    found = samples(evidence, i)
    return None if found is None or is_multiple(found, certainty(evidence, i)) else found


def summand_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = u(x) + v(x), where both what is there and what is missing have names."""
    found = uneven(evidence, i)
    if found is None:
        return
    near, variables = certainty(evidence, i), named(evidence, i, found, has_output=False)
    with np.errstate(all="ignore"):
        there = smooth(fits(found.analytic / found.dy, found.dy, near, variables))
        lost = smooth(fits(found.slope - found.analytic / found.dy, found.dy, near, variables))
        if any(there) and any(lost):
            yield cause("path-missing", 0.87, name=evidence.names[i], how="as in f(x) + g(x)")


def wrong_power(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a/n = c·xᵏ, where n/dy is a power of x as well."""
    found = samples(evidence, i)
    if found is None:
        return
    near = 10 * certainty(evidence, i)
    with np.errstate(all="ignore"):
        off = power_of(found.x, found.analytic / found.numeric, near)
        right = power_of(found.x, found.slope, near)
    constant = not varies(found.slope, certainty(evidence, i))
    if off is not None and (right is not None or constant):
        k = right[1] if right else 0.0
        yield cause("power-rule", given=f"{k + off[1]:g}", right=f"{k:g}", n=f"{k + 1:g}")


def chain_factor(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a/n is a function of x, y or another input, or one over it."""
    found = uneven(evidence, i)
    if found is None:
        return
    near = certainty(evidence, i)
    variables = named(evidence, i, found)
    with np.errstate(all="ignore"):
        missing, extra = found.numeric / found.analytic, found.analytic / found.numeric
        for fit in shortest(smooth(fits(missing, found.analytic, near, variables))):
            yield cause("chain-rule-factor-missing", factor=fit.formula, what="is missing")
            detail, name = f": the factor {fit.formula}", evidence.names[i]
            yield cause("activation-derivative-missing", PARTLY, name=name, detail=detail)
        for fit in shortest(smooth(fits(extra, found.numeric, near, variables))):
            yield cause("chain-rule-factor-missing", 0.97, factor=fit.formula, what="is too much")
        if found.is_same(found.dy * found.slope**2, near):
            yield cause("activation-derivative-twice")
        if found.is_same(found.dy / found.slope, near):
            yield cause("wrong-function-derivative", given="dy/φ'(x)", right="dy·φ'(x)")


def factor_in_a_term(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Right where another input is one, wrong elsewhere: one term of several lacks it."""
    found = uneven(evidence, i)
    if found is None:
        return
    for j, name in enumerate(evidence.names):
        if j == i or name not in found.others or (evidence.inputs[j] == 1).all():
            continue
        inputs = [np.ones_like(a) if k == j else a for k, a in enumerate(evidence.inputs)]
        there, gradients = jacobian_at(evidence, i, inputs), evidence.gradients_at(inputs=inputs)
        if there is None or gradients is None or np.shape(gradients[i]) != inputs[i].shape:
            continue
        right = there.slopes @ flat(evidence.cotangents)
        given = np.asarray(gradients[i], np.float64).ravel()[there.entries]
        if right.any() and close(given, right, 10 * certainty(evidence, i)):
            what = "is missing in a term, or is in one too often: where it is 1, all is right"
            yield cause("chain-rule-factor-missing", IN_A_TERM, factor=name, what=what)


def smooth(found: Iterator[Fit]) -> Iterator[Fit]:
    """Those that are not constant in pieces, which are regions rather than factors."""
    return (fit for fit in found if len(np.unique(fit.atom)) > 3)


def named(evidence: Evidence, i: int, found: Samples, has_output: bool = True) -> dict[str, Array]:
    """What a factor may be a function of, by the names that the caller gave."""
    output = {} if not has_output else {"output" if "y" in evidence.names else "y": found.y}
    name = evidence.names[i]
    differences = {f"({name} − {other})": found.x - v for other, v in found.others.items()}
    return {name: found.x, **output, **found.others, **differences}


def shortest(found: Iterator[Fit]) -> list[Fit]:
    """One fit, the simplest."""
    return sorted(found, key=lambda fit: len(fit.formula))[:1]


def wrong_function(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy·g with a g that has a name."""
    found = uneven(evidence, i)
    if found is None:
        return
    near = certainty(evidence, i)
    variables = named(evidence, i, found)
    with np.errstate(all="ignore"):
        given = shortest(fits(found.analytic / found.dy, found.dy, near, variables))
        right = shortest(fits(found.slope, found.dy, near, variables))
    if not given and (shown := unnamed(evidence, i, found, near)):
        name = evidence.names[i]
        yield cause(
            "wrong-function-derivative",
            UNNAMED,
            given=f"dy·g({name}) with {shown[0]}",
            right=f"dy·φ'({name}) with {shown[1]}",
        )
    if given:
        meant = right[0].formula if right else "φ'(x)"
        yield cause(
            "wrong-function-derivative", given=f"dy·{given[0].formula}", right=f"dy·{meant}"
        )


def unnamed(evidence: Evidence, i: int, found: Samples, near: float) -> tuple[str, str] | None:
    """g and φ' at one x, if the gradient is dy·g whatever dy is, and g is wrong at most places."""
    with np.errstate(all="ignore"):
        given = (found.analytic / found.dy)[: found.first]
    slope, x = found.slope[: found.first], found.x[: found.first]
    off = abs(given - slope) > 100 * near * abs(slope).max(initial=0)
    if len(given) < FEWEST or not np.isfinite(given).all() or off.mean() < 0.5:
        return None
    if not evidence.is_fixed and not is_proportional(evidence, i, near):
        return None
    k = int(abs(given - slope).argmax())
    return f"g({x[k]:.3g}) = {given[k]:.4g}", f"φ'({x[k]:.3g}) = {slope[k]:.4g}"


def is_proportional(evidence: Evidence, i: int, near: float) -> bool:
    """Whether each entry of the gradient is its own entry of dy times what dy does not change."""
    analytic, dy = analytic_of(evidence, i), evidence.cotangents[0]
    other = fresh_cotangents(evidence)
    answer = evidence.gradients_at(other)
    if analytic is None or answer is None or answer[i] is None or dy.shape != analytic.shape:
        return False
    return answer[i].shape == dy.shape and close(answer[i] * dy, analytic * other[0], near)


RECOGNISERS = (summand_missing, wrong_power, chain_factor, factor_in_a_term, wrong_function)
