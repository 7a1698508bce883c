"""Arrangement: the right numbers in the wrong places, or in the wrong shape."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    agreement,
    analytic_of,
    batch_sizes,
    certainty,
    close,
    jacobian,
)
from gradcheck.verdict import Cause

Array = np.ndarray


FORMULA = 0.95
"""The match of a formula that may be right for another reason than the diagonal."""

NEAR = 10.0
"""Times the certainty: a gradient that is right to so many digits is not in disorder."""


def is_right(evidence: Evidence, i: int, rearranged: Array) -> bool:
    """Whether the gradient, rearranged, is the right one wherever that is known."""
    known = evidence.measured(i)
    if rearranged.shape != known.shape or not known.any():
        return False
    numeric = evidence.numeric[i][known]
    if known.size > 1 and known.sum() < 2:
        return False
    analytic = analytic_of(evidence, i)
    if analytic is not None and close(analytic[known], numeric, NEAR * certainty(evidence, i)):
        return False
    return close(rearranged[known], numeric, certainty(evidence, i)) and bool(numeric.any())


def transposed(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = nᵀ, for more than two axes any other order of them."""
    analytic = numbers(evidence, i)
    if analytic is None or not 2 <= analytic.ndim <= 4 or is_alone(evidence, i):
        return
    for order in permutations(range(analytic.ndim)):
        if order != tuple(range(analytic.ndim)) and is_right(
            evidence, i, analytic.transpose(order)
        ):
            yield cause("transposed", name=evidence.names[i])
            return


def numbers(evidence: Evidence, i: int) -> Array | None:
    """The gradient under test in float64, whatever its shape."""
    found = evidence.analytic[i]
    is_usable = found is not None and found.dtype.kind in "fiub" and found.size
    return np.asarray(found, np.float64) if is_usable else None


def is_alone(evidence: Evidence, i: int) -> bool:
    """Shapes with one long axis at most have no transpose but themselves."""
    shape = evidence.inputs[i].shape
    return bool(shape == evidence.analytic[i].shape) and sum(n > 1 for n in shape) < 2


def swapped(evidence: Evidence, i: int) -> Iterator[Cause]:
    """aᵢ = nⱼ, or both are means over the batch where sums are right, and swapped."""
    analytic = numbers(evidence, i)
    if analytic is None:
        return
    sizes = list(batch_sizes(evidence))
    for scale in (1.0, *map(float, sizes), *(1.0 / n for n in sizes)):
        for j in range(len(evidence.inputs)):
            if j == i or not is_gradient_of(evidence, i, j, analytic * scale):
                continue
            other = numbers(evidence, j)
            is_mutual = other is not None and is_right(evidence, i, other * scale)
            if is_mutual or scale == 1.0:
                match = (1.0 if is_mutual else 0.85) * (1.0 if scale == 1.0 else 0.97)
                yield cause("swapped-gradients", match, other=evidence.names[j])
                return


def is_gradient_of(evidence: Evidence, i: int, j: int, gradient: Array) -> bool:
    """Whether this is the right gradient of input j, but for axes of length one."""
    numeric = evidence.numeric[j]
    if numeric is None or gradient.size != numeric.size:
        return False
    if squeezed(gradient.shape) != squeezed(numeric.shape):
        return False
    known = np.isfinite(numeric)
    found = gradient.reshape(numeric.shape)[known]
    near = certainty(evidence, i)
    return bool(numeric[known].any()) and close(found, numeric[known], near)


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n > 1)


def permuted(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Reversed, rolled, read in another order, or in no order that has a name."""
    analytic = analytic_of(evidence, i)
    if analytic is None or analytic.size < 3:
        return
    for detail, candidate in rearrangements(analytic):
        if is_right(evidence, i, candidate):
            yield cause("permuted", detail=detail)
            return
    known = evidence.measured(i)
    near = NEAR * certainty(evidence, i)
    if known.all() and not close(analytic, evidence.numeric[i], near):
        numeric = np.sort(evidence.numeric[i], axis=None)
        if close(np.sort(analytic, axis=None), numeric, certainty(evidence, i)):
            yield cause("permuted", 0.95, detail="in another order")


def rearrangements(a: Array) -> Iterator[tuple[str, Array]]:
    """What would undo an arrangement, and how to call that."""
    for axis in range(a.ndim):
        if a.shape[axis] > 1:
            yield f"reversed along axis {axis}", np.flip(a, axis)
    if a.ndim > 1:
        yield "reversed along every axis", np.flip(a)
        yield (
            "read in row order where it was written in column order",
            np.reshape(a.ravel(), a.shape, order="F"),
        )
        yield (
            "read in column order where it was written in row order",
            np.reshape(a.ravel(order="F"), a.shape),
        )
    for axis in range(a.ndim):
        for shift in (1, -1, 2, -2, a.shape[axis] // 2):
            if a.shape[axis] > 2 and shift % a.shape[axis]:
                yield f"shifted by {-shift} along axis {axis}", np.roll(a, shift, axis)


def wrong_slots(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Forward only moves numbers: every entry of the gradient is one of dy, but another one."""
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None or analytic.size < 2:
        return
    slopes = found.slopes[found.reached]
    is_moving = (found.reached.sum(axis=1) <= 1).all() and slopes.size > 1
    if not is_moving or not np.allclose(slopes, 1.0, atol=1e-3):
        return
    entries, dy = analytic.ravel()[found.entries], flat(evidence.cotangents)
    order = np.argsort(dy)
    nearest = np.clip(np.searchsorted(dy[order], entries), 1, len(dy) - 1)
    taken = np.where(
        abs(dy[order][nearest] - entries) < abs(dy[order][nearest - 1] - entries),
        nearest, nearest - 1,
    )  # fmt: skip
    used = taken[entries != 0]
    if len(np.unique(used)) < len(used):
        return
    meant_at = np.where(found.reached.any(axis=1), found.reached.argmax(axis=1), -1)
    is_moved = (order[taken] != meant_at) & (meant_at >= 0) & (entries != 0)
    if is_moved.any() and close(dy[order][taken], entries, 1e-6):
        first, meant = int(order[taken[0]]), int(found.reached[0].argmax())
        detail = f"entries of dy from other places: its first is entry {first} of dy, not {meant}"
        yield cause("permuted", detail=detail)


def jacobian_not_transposed(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = J·dy, where Jᵀ·dy is right: the map of forward itself was applied to dy."""
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None or not found.is_complete or analytic.size < 2:
        return
    if found.slopes.shape[0] != found.slopes.shape[1]:
        return
    dy = flat(evidence.cotangents)
    others = ", ".join(name for k, name in enumerate(evidence.names) if k != i)
    peaks = abs(found.slopes).argmax(axis=1)
    sizes = found.slopes[np.arange(len(peaks)), peaks]
    own = np.divide(found.slopes.T, sizes, out=np.zeros_like(found.slopes), where=sizes != 0)
    for candidate in (dy @ found.slopes, sizes * (own @ dy)):
        match = agreement(evidence, i, candidate.reshape(analytic.shape))
        yield cause("jacobian-not-transposed", match)
        if sum(is_floating(a) for a in evidence.inputs) > 1:
            detail = f"the map of forward, which backward must transpose, made of {others}"
            yield cause("wrong-weights", match, detail=detail, x=evidence.names[i], w=others)


def jacobian_diagonal(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = dy·∂yᵢ/∂xᵢ, where an output depends on other entries as well."""
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None or (found.reached.sum(axis=1) <= 1).all():
        return
    dy, places = flat(evidence.cotangents), np.arange(len(found.entries))
    if evidence.outputs[0].shape != analytic.shape or len(evidence.outputs) > 1:
        return
    candidate = np.zeros(analytic.size)
    candidate[found.entries] = dy[found.entries] * found.slopes[places, found.entries]
    match = agreement(evidence, i, candidate.reshape(analytic.shape))
    name = evidence.names[i]
    yield cause("jacobian-diagonal-only", match, name=name, what=f"dy·∂yᵢ/∂{name}ᵢ")
    x, y = evidence.inputs[i], np.asarray(evidence.outputs[0], np.float64)
    with np.errstate(all="ignore"):
        factors = {"y": y, f"y/{name}": y / x, f"{name}": x, "1/y": 1 / y, "y²": y * y}
    for formula, factor in factors.items():
        match = FORMULA * agreement(evidence, i, evidence.cotangents[0] * factor)
        yield cause("jacobian-diagonal-only", match, name=name, what=f"dy·{formula}")


def wrong_shape(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The right numbers with an axis of length one too many, or too few, or flattened."""
    analytic, shape = numbers(evidence, i), evidence.inputs[i].shape
    if analytic is None or analytic.shape == shape or analytic.size != evidence.inputs[i].size:
        return
    if is_right(evidence, i, analytic.reshape(shape)):
        yield cause("wrong-shape", found=analytic.shape, expected=shape)


RECOGNISERS = (
    transposed,
    swapped,
    permuted,
    wrong_slots,
    jacobian_not_transposed,
    jacobian_diagonal,
    wrong_shape,
)
