"""Sums: over the batch and other axes, not taken, over the wrong axis, or without some terms."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import flat
from gradcheck.diagnose.arrangement import is_right, numbers
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    Jacobian,
    analytic_of,
    certainty,
    close,
    fresh_cotangents,
    jacobian,
)
from gradcheck.verdict import Cause

Array = np.ndarray

LONGEST = 512
"""Of longer axes the terms are not told apart."""

FEW = 64
"""Of several axes together, so many terms at most."""

DENSE = 0.87
"""The match of one term overwriting another where every term reaches every entry: that they are
left out says as much."""

WHOLE = 1e-3
"""How near to one the slopes of a lookup are."""

DRAWS = 40
"""Cotangents that are drawn at most, to have as many equations as terms."""


def axes_sets(ndim: int) -> list[tuple[int, ...]]:
    """Every set of axes, small ones first."""
    every = [tuple(k for k in range(ndim) if bits >> k & 1) for bits in range(1, 2**ndim)]
    return sorted(every, key=len)


def not_summed(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient has more entries than the input; summed over some axes it is right."""
    analytic, shape = numbers(evidence, i), evidence.inputs[i].shape
    if analytic is None or analytic.shape == shape or analytic.ndim > 5:
        return
    for axes in axes_sets(analytic.ndim):
        summed = analytic.sum(axis=axes)
        is_smaller = summed.size == evidence.inputs[i].size < analytic.size
        if is_smaller and is_right(evidence, i, summed.reshape(shape)):
            detail = f"shape {analytic.shape}, expected {shape}: sum over axis {shown(axes)}"
            yield cause("bias-not-summed", name=evidence.names[i], detail=detail)
            return


def shown(axes: tuple[int, ...]) -> str:
    return str(axes[0]) if len(axes) == 1 else str(axes)


def owners(found: Jacobian) -> Array | None:
    """For each output, the one entry that it depends on; None where it depends on several."""
    if not found.is_complete or (found.reached.sum(axis=0) > 1).any() or not found.reached.any():
        return None
    return np.asarray(found.reached.argmax(axis=0))


def unreduced(evidence: Evidence, i: int) -> Array | None:
    """dy·∂y/∂b output by output, for an input b that is broadcast: what must be summed."""
    found = jacobian(evidence, i)
    if found is None or len(evidence.outputs) != 1:
        return None
    owner = owners(found)
    if owner is None or found.reached.sum(axis=1).max() < 2:
        return None
    factors = found.slopes[owner, np.arange(owner.size)]
    terms = flat(evidence.cotangents) * factors
    return np.asarray(terms.reshape(evidence.outputs[0].shape))


def wrong_axis(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The sum runs over other axes than those along which the input was broadcast."""
    analytic, terms = numbers(evidence, i), unreduced(evidence, i)
    if analytic is None or terms is None or terms.ndim > 5:
        return
    near = certainty(evidence, i)
    for axes in axes_sets(terms.ndim):
        for name, reduced in (("sum", terms.sum(axis=axes)), ("mean", terms.mean(axis=axes))):
            if not is_nearly(analytic, reduced, near) or is_right(evidence, i, analytic):
                continue
            if set(axes) == broadcast_axes(evidence, i):
                continue  # the right sum, or a matter of scale
            detail = f"a {name} over axis {shown(axes)} of dy"
            slug = "bias-wrong-axis" if is_other(evidence, i, axes) else "bias-not-summed"
            yield cause(slug, name=evidence.names[i], detail=detail)
            return
    if is_nearly(analytic, terms, near):
        yield cause("bias-not-summed", name=evidence.names[i], detail="it has the shape of dy")


def is_nearly(analytic: Array, reduced: Array, near: float) -> bool:
    """The same numbers, broadcast or with axes of length one."""
    try:
        wide = np.asarray(np.broadcast_to(reduced, analytic.shape))
    except ValueError:
        if reduced.size != analytic.size:
            return False
        wide = np.asarray(reduced).reshape(analytic.shape)
    return close(wide, analytic, near)


def is_other(evidence: Evidence, i: int, axes: tuple[int, ...]) -> bool:
    """Whether these axes are not among those that the input was broadcast along."""
    return not set(axes) <= broadcast_axes(evidence, i)


def broadcast_axes(evidence: Evidence, i: int) -> set[int]:
    """The axes of the output along which the same entry is used, as forward shows it."""
    shape, larger = evidence.inputs[i].shape, evidence.outputs[0].shape
    found = jacobian(evidence, i)
    owner = None if found is None else owners(found)
    if found is not None and owner is not None:
        where, seen = owner.reshape(larger), found.reached.any(axis=0).reshape(larger)
        return {k for k in range(len(larger)) if is_one(where, seen, k)}
    padded = (1,) * (len(larger) - len(shape)) + shape
    return {k for k, (a, b) in enumerate(zip(padded, larger, strict=False)) if a != b}


def is_one(where: Array, seen: Array, axis: int) -> bool:
    """Whether all outputs along the axis that depend on an entry at all depend on the same."""
    highest = np.where(seen, where, -1).max(axis=axis)
    lowest = np.where(seen, where, where.max() + 1).min(axis=axis)
    return bool((highest <= lowest).all())


def terms_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a = Σ sₖ·(term k) with some sₖ = 0: along an axis of the output, or among outputs."""
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None or evidence.is_fixed:
        return
    if (found.reached.sum(axis=1) <= 1).all() and len(evidence.outputs) == 1:
        return  # nothing is summed
    if len(evidence.outputs) > 1:
        yield from output_missing(evidence, i, found)
    start = 0
    for output in evidence.outputs:
        place = slice(start, start + output.size)
        start += output.size
        if len(evidence.outputs) > 1:
            continue
        for axes in axes_sets(output.ndim):
            n = int(np.prod([output.shape[k] for k in axes]))
            if 1 < n <= LONGEST and (len(axes) == 1 or n <= FEW):
                which = term_index(output, axes)
                weights = term_weights(evidence, i, found, which, place, n)
                if weights is not None:
                    yield from told(weights, axes)
                    if np.count_nonzero(weights) == 1 and is_bias(evidence, i, found):
                        detail = f"only sample {int(weights.argmax())} of {n} is there"
                        yield cause("bias-not-summed", name=evidence.names[i], detail=detail)


def is_bias(evidence: Evidence, i: int, found: Jacobian) -> bool:
    """Whether there is an entry for each column, and each output depends on that alone."""
    shape, size = evidence.outputs[0].shape, evidence.inputs[i].size
    if len(shape) < 2 or size != shape[-1] or not found.is_complete:
        return False
    columns = np.arange(found.reached.shape[1]) % size
    return bool((found.reached <= (columns[None] == np.arange(size)[:, None])).all())


def output_missing(evidence: Evidence, i: int, found: Jacobian) -> Iterator[Cause]:
    sizes = [y.size for y in evidence.outputs]
    which = np.repeat(np.arange(len(sizes)), sizes)
    weights = term_weights(evidence, i, found, which, slice(None), len(sizes))
    if weights is not None and set(weights) == {0.0, 1.0}:
        lost = ", ".join(str(k) for k in np.flatnonzero(weights == 0))
        yield cause("output-ignored", detail=lost)


def term_index(output: Array, axes: tuple[int, ...]) -> Array:
    """Which term each output belongs to: by its index along these axes."""
    indices = np.indices(output.shape)
    along = tuple(indices[k].ravel() for k in axes)
    return np.asarray(np.ravel_multi_index(along, tuple(output.shape[k] for k in axes)))


def term_weights(
    evidence: Evidence, i: int, found: Jacobian, which: Array, place: slice, n: int
) -> Array | None:
    """The sₖ, rounded, if the gradient is such a sum; None else."""
    system = equations(evidence, i, found, which, place, n)
    if system is None:
        return None
    matrix, side = system
    if not np.isfinite(side).all() or is_separate(matrix):
        return None
    weights = np.linalg.lstsq(matrix, side, rcond=None)[0]
    weights[abs(matrix).max(axis=0) < 1e-9 * abs(matrix).max()] = 1.0
    rounded = np.round(weights, 2)
    is_exact = close(matrix @ rounded, side, 10 * certainty(evidence, i))
    return rounded + 0.0 if is_exact else None


def equations(
    evidence: Evidence, i: int, found: Jacobian, which: Array, place: slice, n: int
) -> tuple[Array, Array] | None:
    """Σ sₖ·(term k) = a for each entry and as many cotangents as fix the sₖ; None if none do."""
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(n))
    blocks: list[Array] = []
    sides: list[Array] = []
    cotangents, gradients = evidence.cotangents, evidence.analytic
    for _ in range(DRAWS):
        contributions = found.slopes[:, place] * flat(cotangents)[place]
        blocks.append(np.add.reduceat(contributions[:, order], starts, axis=1))
        sides.append(np.asarray(gradients[i], np.float64).ravel()[found.entries])
        matrix = np.concatenate(blocks)
        used = abs(matrix).max(axis=0) >= 1e-9 * abs(matrix).max()
        if len(matrix) >= n + 2 and is_determined(matrix[:, used]):
            return matrix, np.concatenate(sides)
        cotangents = fresh_cotangents(evidence)
        answer = evidence.gradients_at(cotangents)
        if answer is None or answer[i] is None:
            return None
        gradients = answer
    return None


def is_determined(matrix: Array) -> bool:
    """Whether there is one solution only, to many digits."""
    rows, columns = matrix.shape
    if rows < columns:
        return False
    squares = np.linalg.eigvalsh(
        matrix.T @ matrix
    )  # of the singular values, in a tenth of the time
    return bool(squares[0] > 1e-8 * squares[-1])


def is_separate(matrix: Array) -> bool:
    """Every entry has one term only: nothing is summed here."""
    return bool(((abs(matrix) > 1e-9 * abs(matrix).max(initial=0)).sum(axis=1) <= 1).all())


def told(weights: Array, axes: tuple[int, ...]) -> Iterator[Cause]:
    """Which terms are left out, in words."""
    lost, kept = np.flatnonzero(weights == 0), np.flatnonzero(weights)
    if not len(lost) or not len(kept) or len(np.unique(weights[kept])) > 1:
        return
    is_batch = axes == (0,)
    what = "sample" if is_batch else f"entry along axis {shown(axes)} of dy"
    last = len(weights) - 1
    if len(kept) == 1:
        detail = f"only {what} {kept[0]} is counted: = in a loop where += belongs, or no sum"
    elif len(lost) <= 4:
        names = ", ".join("the last" if k == last else str(k) for k in lost)
        detail = f"{what} {names} of {len(weights)} is left out"
    else:
        detail = f"only {len(kept)} of {len(weights)} are counted ({what} {kept[0]} to {kept[-1]})"
    if not np.isclose(weights[kept[0]], 1):
        detail += f", times {weights[kept[0]]:g}"
    yield cause("samples-missing" if is_batch else "terms-missing", detail=detail)


def overwritten(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Of the terms that reach an entry, each time the last alone is there: = where += belongs."""
    analytic, found = analytic_of(evidence, i), jacobian(evidence, i)
    if analytic is None or found is None or len(evidence.outputs) != 1 or evidence.is_fixed:
        return
    output = evidence.outputs[0]
    if not 1 <= output.ndim <= 5 or (found.reached.sum(axis=1) <= 1).all():
        return
    terms = np.where(found.reached, found.slopes * flat(evidence.cotangents), 0.0)
    given, near = analytic.ravel()[found.entries], certainty(evidence, i)
    if close(given, terms.sum(axis=1), near):
        return
    for axes in axes_sets(output.ndim):
        order = np.ravel_multi_index(
            tuple(np.indices(output.shape)[k].ravel() for k in axes),
            tuple(output.shape[k] for k in axes),
        )
        places = np.where(found.reached, order, -1)
        last = places.max(axis=1, keepdims=True)
        first = np.where(found.reached, order, order.max() + 1).min(axis=1, keepdims=True)
        for kept in (places == last, places == first):
            if close(given, (terms * (kept & found.reached)).sum(axis=1), near):
                is_scattered = len(np.unique(last[last >= 0])) > 1 or is_lookup(found)
                detail = ": entries that are reached several times keep one term alone"
                match = 1.0 if is_scattered else DENSE
                yield cause("overwrites-instead-of-accumulating", match, detail=detail)
                return


def is_lookup(found: Jacobian) -> bool:
    """Whether every output is one entry of the input, some of them used more often."""
    slopes, counts = found.slopes[found.reached], found.reached.sum(axis=1)
    is_picked = bool((found.reached.sum(axis=0) <= 1).all() and (abs(slopes - 1) < WHOLE).all())
    return is_picked and len(np.unique(counts)) > 1  # else it is broadcast


RECOGNISERS = (not_summed, wrong_axis, terms_missing, overwritten)
