"""The right gradient of another function: with another input reversed, transposed, or left out."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement, analytic_of, close, jacobian, jacobian_at
from gradcheck.verdict import Cause

Array = np.ndarray

MOVED = 2048
"""Of inputs up to this size the gradient is measured with another input changed, too."""

LEFT_OUT = 0.8
"""The match of a gradient that is right for another input of zero: a path may be missing, too."""

ZERO = " counts as zero"
"""How a whole input is left out."""


def changed_input(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient of another function: with another input reversed, transposed, or zero."""
    analytic = analytic_of(evidence, i)
    if analytic is None or not 1 < analytic.size <= MOVED or not analytic.any():
        return
    yield from turned_cotangent(evidence, i)
    for j, other in enumerate(evidence.inputs):
        if j == i or not is_floating(other) or other.ndim == 0 or other.size < 2:
            continue
        for detail, value in changes(other):
            candidate = right_with(evidence, i, j, value)
            if candidate is None:
                return
            match = agreement(evidence, i, candidate)
            name = evidence.names[j]
            if detail == ZERO and are_targets(evidence, i, j):
                yield cause("one-hot-not-subtracted", match, formula=f"{name} counts as zero")
            else:
                match *= LEFT_OUT if detail == ZERO else 1.0
                yield cause(
                    "wrong-weights", match, detail=name + detail, x=evidence.names[i], w=name
                )


def right_with(evidence: Evidence, i: int, j: int, value: Array) -> Array | None:
    """The right gradient of input i where input j has another value; zero where not measured."""
    inputs = [value if k == j else a for k, a in enumerate(evidence.inputs)]
    found = jacobian_at(evidence, i, inputs)
    if found is None:
        return None
    candidate = np.zeros(evidence.inputs[i].size)
    candidate[found.entries] = found.slopes @ flat(evidence.cotangents)
    return candidate.reshape(evidence.inputs[i].shape)


def are_targets(evidence: Evidence, i: int, j: int) -> bool:
    """Whether input j belongs to input i as targets do to what a loss takes.

    They are of one shape, and fewer numbers come out, or forward sees their difference only.
    """
    if sum(y.size for y in evidence.outputs) == 1 and is_of_the_batch(evidence, i, j):
        return True
    if evidence.inputs[i].shape != evidence.inputs[j].shape:
        return False
    if sum(y.size for y in evidence.outputs) < evidence.inputs[i].size:
        return True
    shift = evidence.rng.standard_normal(evidence.inputs[i].shape)
    moved = [np.asarray(a + shift, a.dtype) if k in (i, j) else a
             for k, a in enumerate(evidence.inputs)]  # fmt: skip
    there = evidence.outputs_at(moved)
    near = 1e-9 if evidence.inputs[i].dtype == np.float64 else 1e-3
    return there is not None and close(flat(there), flat(evidence.outputs), near)


def is_of_the_batch(evidence: Evidence, i: int, j: int) -> bool:
    """Whether input j has an entry for each row of another input, of which input i has none."""
    count = len(evidence.inputs[j])
    others = [a for k, a in enumerate(evidence.inputs) if k not in (i, j) and is_floating(a)]
    has_rows = any(a.ndim == 2 and len(a) == count for a in others)
    return has_rows and evidence.inputs[i].shape[:1] != (count,)


def turned_cotangent(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The right formula for dyᵀ."""
    found, dy = jacobian(evidence, i), evidence.cotangents[0]
    if found is None or not found.is_complete or len(evidence.outputs) > 1:
        return
    if dy.ndim == 2 and dy.shape[0] == dy.shape[1] > 1:
        candidate = (found.slopes @ dy.T.ravel()).reshape(evidence.inputs[i].shape)
        match = agreement(evidence, i, candidate)
        yield cause(
            "wrong-product", match, given="right for dyᵀ in place of dy", right="that of dy"
        )


def changes(value: Array) -> Iterator[tuple[str, Array]]:
    for axis in range(value.ndim):
        if value.shape[axis] > 1:
            yield f" is reversed along axis {axis}", np.flip(value, axis)
    if value.ndim > 2 and min(value.shape[-2:]) > 1:
        yield " is reversed along its last two axes", np.flip(value, (-2, -1))
    if value.ndim == 2 and value.shape[0] == value.shape[1] > 1:
        yield " is transposed", value.T
    yield ZERO, np.zeros_like(value)


RECOGNISERS = (changed_input,)
