"""The wrong slope inside y = φ(x·w + b): which one backward used, and what it is a formula of."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.affine import Affine, affine_of, gradients_of
from gradcheck.diagnose.atoms import fits
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.chain import shortest
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement, certainty, close
from gradcheck.verdict import Cause

Array = np.ndarray

ROWS = 32
"""Samples at most, each of which has the cotangent to itself once."""


def wrong_slope(evidence: Evidence, i: int) -> Iterator[Cause]:
    """backward multiplies dy by s(y) or s(z) where φ'(z) belongs: what is s?"""
    found = affine_of(evidence, i)
    if found is None or found.slope is None or np.ptp(found.slope) < 1e-3:
        return
    dz, dy = delta_of_backward(evidence, found, i), np.asarray(evidence.cotangents[0], np.float64)
    if dz is None or not np.isfinite(dz).all():
        return
    match = max(
        (agreement(evidence, i, candidate) for candidate in gradients_of(evidence, found, i, dz)),
        default=0.0,
    )
    if not match:
        return
    variables = {"y": np.asarray(evidence.outputs[0], np.float64).ravel()}
    variables["z"] = argument(evidence, found).ravel()
    near, weight = max(certainty(evidence, i), 1e-6), dy.ravel()
    with np.errstate(all="ignore"):
        taken = shortest(fits((dz / dy).ravel(), weight, near, variables))
        right = shortest(fits(found.slope.ravel(), weight, near, variables))
    if taken and not is_multiple(taken[0].atom, found.slope.ravel(), near):
        meant = right[0].formula if right else "φ'(z)"
        yield cause("activation-derivative-formula", match, taken=taken[0].formula, formula=meant)


def is_multiple(atom: Array, slope: Array, near: float) -> bool:
    """Whether it is the right slope but for a constant: the form is right then."""
    factor = float(atom @ slope) / (float(atom @ atom) or 1.0)
    return close(factor * atom, slope, near)


def delta_of_backward(evidence: Evidence, found: Affine, i: int) -> Array | None:
    """The dz that backward formed, if it goes on from there as it should."""
    x, w = evidence.inputs[found.x], evidence.inputs[found.w]
    if i == found.x:
        if w.shape[0] < w.shape[1]:
            return None  # several dz give the same dx
        return np.asarray(evidence.analytic[i], np.float64) @ np.linalg.pinv(w.T)
    if len(x) > ROWS:
        return None
    rows = []
    for row in range(len(x)):
        alone = np.zeros_like(evidence.cotangents[0])
        alone[row] = evidence.cotangents[0][row]
        gradients = evidence.gradients_at([alone])
        if gradients is None or gradients[i] is None:
            return None
        gradient = np.asarray(gradients[i], np.float64)
        if i == found.w and gradient.shape == w.shape:
            rows.append(x[row] @ gradient / (x[row] @ x[row]))
        elif gradient.size == w.shape[1]:
            rows.append(gradient.ravel())
        else:
            return None
    return np.array(rows)


def argument(evidence: Evidence, found: Affine) -> Array:
    """z = x·w, and the bias, where an input has its shape."""
    z = np.asarray(evidence.inputs[found.x] @ evidence.inputs[found.w], np.float64)
    for k, b in enumerate(evidence.inputs):
        if k not in (found.x, found.w) and is_floating(b) and b.size == z.shape[1]:
            return np.asarray(z + b.reshape(1, -1))
    return z


RECOGNISERS = (wrong_slope,)
