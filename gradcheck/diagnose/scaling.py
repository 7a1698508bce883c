"""Sign and scale: the gradient is the right one times a constant."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    analytic_of,
    batch_sizes,
    certainty,
    fresh_points,
    rounding_at,
)
from gradcheck.verdict import Cause

Array = np.ndarray

EQUAL = 1e-4
"""How near a factor must be to a number to be taken for it, in float64; float32 has
`certainty`."""


def constant_factor(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = c·n: c = -1 is a sign, c = N or 1/N the batch, anything else a constant."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None or not known.any():
        return
    factor = factor_of(analytic[known], evidence.numeric[i][known])
    if not factor:
        return
    match = evidence.explains(i, factor * np.where(known, evidence.numeric[i], 0.0))
    match = max(match, tiny_factor(evidence, i, factor))
    if match < 0.5 or not holds_elsewhere(evidence, i, factor):
        return
    near = max(EQUAL, certainty(evidence, i))
    if abs(factor + 1) < near:
        yield cause("sign-flipped", match, formula="d" + evidence.names[i])
    usual = list(batch_sizes(evidence))
    for n in dict.fromkeys([*usual, *further_sizes(evidence)]):
        for slug, sign in (("scaled-by-batch", 1), ("divided-by-batch-twice", -1)):
            if abs(factor / float(n) ** sign - 1) < near and depends_on_size(
                evidence, i, factor, n, n in usual
            ):
                yield cause(slug, match, factor=f"{factor:.6g}", n=n)
    yield cause("scaled-by-constant", match, factor=factor, detail=counted(evidence, factor, near))


def factor_of(analytic: Array, numeric: Array) -> float:
    """The c for which c·numeric is nearest to analytic."""
    norm = float(numeric @ numeric)
    with np.errstate(all="ignore"):
        factor = float(analytic @ numeric) / norm if norm else 0.0
    return factor if np.isfinite(factor) else 0.0


def tiny_factor(evidence: Evidence, i: int, factor: float) -> float:
    """1 where the gradient is off by one factor near 1, seen only by sharp differences."""
    known = evidence.measured(i)
    numeric, bars = evidence.numeric[i][known], evidence.error_bars[i][known]
    analytic = np.asarray(evidence.analytic[i], np.float64)[known]
    left = abs(analytic - factor * numeric)
    is_far = abs(analytic - numeric).max() > 20 * np.nan_to_num(bars).max()
    return float(len(left) > 2 and is_far and bool((left <= bars / 4).all()))


def holds_elsewhere(evidence: Evidence, i: int, factor: float) -> bool:
    """Whether the factor is the same at other points, or at the same one if there are none."""
    for point in fresh_points(evidence, i):
        other = factor_of(point.analytic, point.numeric)
        near = 10 * certainty(evidence, i) + rounding_at(point, i)
        if other and abs(other - factor) > near * abs(factor):
            return False
    return True


def further_sizes(evidence: Evidence) -> Iterator[int]:
    """Lengths of inputs, where the parameters come first and the batch after them."""
    for array in evidence.inputs:
        if isinstance(array, np.ndarray) and array.ndim and len(array) > 1:
            yield len(array)


def depends_on_size(
    evidence: Evidence, i: int, factor: float, n: int, otherwise: bool = True
) -> bool:
    """Whether the factor is another one for a sample less; `otherwise` if that cannot be tried.

    Without this, a batch of two could not be told from a factor of 2.
    """
    fewer = [
        a[: n - 1] if isinstance(a, np.ndarray) and a.ndim and len(a) == n else a
        for a in evidence.inputs
    ]
    outputs = evidence.outputs_at(fewer)
    if outputs is None or not all(np.isfinite(y).all() for y in outputs):
        return otherwise
    cotangents = [np.asarray(evidence.rng.standard_normal(y.shape)) for y in outputs]
    if evidence.is_fixed:
        cotangents = evidence.cotangents
    gradients = evidence.gradients_at(cotangents, fewer)
    if gradients is None or gradients[i] is None or gradients[i].shape != fewer[i].shape:
        return otherwise
    direction = np.asarray(gradients[i], np.float64)
    if not np.isfinite(direction).all() or not direction.any():
        return otherwise
    slopes = evidence.slope(i, direction / abs(direction).max(), fewer)
    if slopes is None:
        return otherwise
    right = sum(float((c * s).sum()) for c, s in zip(cotangents, slopes, strict=True))
    found = float((direction * direction).sum() / abs(direction).max())
    return otherwise if not right else abs(found / right / factor - 1) > 1e-3


def counted(evidence: Evidence, factor: float, near: float) -> str:
    """Which size the factor is, if any: a mean whose 1/n is missing, or taken twice."""
    for name, array in zip(evidence.names, evidence.inputs, strict=True):
        if not is_floating(array):
            continue
        sizes = {f"the size of axis {k} of {name}": n for k, n in enumerate(array.shape)}
        for what, n in {**sizes, f"the number of entries of {name}": array.size}.items():
            if n > 2 and abs(factor / n - 1) < near:
                return f"; {n} is {what}: the 1/{n} of a mean is missing"
            if n > 2 and abs(factor * n - 1) < near:
                return f"; {n} is {what}: divided by it once too often"
    return ": a factor of the formula, such as that of an inner derivative, is missing or too much"


def along_axis(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = c[k]·n, with another factor for each index k of one axis."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None or analytic.ndim < 2:
        return
    numeric = np.where(known, evidence.numeric[i], 0.0)
    for axis in range(analytic.ndim):
        others = tuple(k for k in range(analytic.ndim) if k != axis)
        norms = (numeric * numeric).sum(axis=others, keepdims=True)
        products = (np.where(known, analytic, 0.0) * numeric).sum(axis=others, keepdims=True)
        counts = known.sum(axis=others)
        if (counts < 2).any() and counts.max() < 3:
            continue
        factors = np.divide(products, norms, out=np.ones(norms.shape), where=norms > 0)
        match = evidence.explains(i, factors * numeric)
        if match < 0.9:
            continue
        shown = ", ".join(f"{f:.4g}" for f in factors.ravel()[counts > 0][:4])
        yield cause("scaled-along-axis", match, axis=axis, factors=shown)


RECOGNISERS = (constant_factor, along_axis)
