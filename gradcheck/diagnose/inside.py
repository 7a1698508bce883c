"""A φ' inside a function of matrix products, wherever these stand: gates, cells, hidden layers.

If an output row depends on w through u = x·w, its gradient is xₙ ⊗ δₙ for each sample n. So
the δ that is right can be read off the Jacobian, and the one that backward formed off its
answers to one row of the cotangent at a time; how they are related tells the slip.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.affine import affines_of
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement, certainty, close, jacobian, remembered
from gradcheck.diagnose.slope import slips
from gradcheck.verdict import Cause

Array = np.ndarray

ROWS = 32
"""Samples at most, each of which has the cotangent to itself once."""

NEAR = 10.0
"""Times the certainty: how near a gradient must be to a product of x and δ."""


@dataclass(frozen=True)
class Deltas:
    """δ as backward formed it, and as it is right, with what φ may be taken of."""

    given: Array
    right: Array
    arguments: list[Array]


def slope_inside(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The slip, for the first product and the first argument that show one."""
    for found in deltas(evidence, i):
        for u in found.arguments:
            near = NEAR * certainty(evidence, i)
            columns = wrong_columns(found, near)
            given, right = found.given[:, columns].ravel(), found.right[:, columns].ravel()
            told = list(slips(evidence.names[i], given, right, u[:, columns].ravel(), near))
            if told:
                yield from told
                return


def weights_untransposed(evidence: Evidence, i: int) -> Iterator[Cause]:
    """dx has δ·w where δ·wᵀ belongs, and whatever else x is used for beside."""
    if len(evidence.outputs) != 1 or evidence.is_fixed or evidence.outputs[0].ndim == 0:
        return
    count = len(evidence.outputs[0])
    for x, w in products_of(evidence, count) if 1 < count <= ROWS else ():
        weights = np.asarray(evidence.inputs[w], np.float64)
        if i != x or weights.shape[0] != weights.shape[1] or not evidence.measured(i).all():
            continue
        rows = per_row(evidence, w)
        delta = None if rows is None else divided(rows[1], evidence.inputs[x], evidence, w)
        if delta is not None:
            match = agreement(evidence, i, evidence.numeric[i] + delta @ (weights - weights.T))
            name = evidence.names[w]
            detail = f"{name} was not transposed: δ·{name}"
            yield cause("wrong-weights", match, detail=detail, x=evidence.names[i], w=name)


def wrong_columns(found: Deltas, near: float) -> Array:
    """The units whose δ is wrong: several gates may lie side by side in one matrix."""
    off = abs(found.given - found.right) > near * abs(found.right).max(initial=0)
    return np.asarray(off.any(axis=0))


def deltas(evidence: Evidence, i: int) -> Iterator[Deltas]:
    """For each matrix x that input i may be multiplied by, or that it may be itself."""
    if len(evidence.outputs) != 1 or evidence.outputs[0].ndim < 1 or evidence.is_fixed:
        return
    count = len(evidence.outputs[0])
    rows = per_row(evidence, i) if 1 < count <= ROWS else None
    if rows is None:
        return
    products = products_of(evidence, count)
    for x, w in products:
        if i == w:
            given, right = (divided(part, evidence.inputs[x], evidence, i) for part in rows)
        elif i == x:
            given, right = (solved(part, evidence.inputs[w], evidence, i) for part in rows)
        elif evidence.inputs[i].size == evidence.inputs[w].shape[1]:
            given, right = (part.reshape(count, -1) for part in rows)
        else:
            continue
        if given is not None and right is not None:
            yield Deltas(given, right, arguments(evidence, products, x, w))


def per_row(evidence: Evidence, i: int) -> tuple[Array, Array] | None:
    """The gradient of each row of outputs alone: backward's, and the right one."""
    return remembered(evidence, f"rows {i}", lambda: taken_per_row(evidence, i))


def taken_per_row(evidence: Evidence, i: int) -> tuple[Array, Array] | None:
    found, dy = jacobian(evidence, i), np.asarray(evidence.cotangents[0], np.float64)
    if found is None or not found.is_complete:
        return None
    given, right = [], []
    for row in range(len(dy)):
        alone = np.zeros_like(evidence.cotangents[0])
        alone[row] = evidence.cotangents[0][row]
        answer = evidence.gradients_at([alone])
        if answer is None or answer[i] is None or answer[i].shape != evidence.inputs[i].shape:
            return None
        given.append(np.asarray(answer[i], np.float64))
        right.append((found.slopes @ np.asarray(alone, np.float64).ravel()).reshape(given[0].shape))
    return np.array(given), np.array(right)


def products_of(evidence: Evidence, count: int) -> list[tuple[int, int]]:
    """Pairs (x, w) that can be multiplied, x with a row for each sample."""
    matrices = [k for k, a in enumerate(evidence.inputs) if is_floating(a) and a.ndim == 2]
    shapes = {k: evidence.inputs[k].shape for k in matrices}
    return [
        (x, w) for x in matrices for w in matrices
        if x != w and shapes[x][0] == count and shapes[x][1] == shapes[w][0]
    ]  # fmt: skip


def divided(gradients: Array, x: Array, evidence: Evidence, i: int) -> Array | None:
    """δ, if each sample's gradient is xₙ ⊗ δₙ."""
    x = np.asarray(x, np.float64)
    norm = (x * x).sum(axis=1)
    if gradients.ndim != 3 or not norm.all():
        return None
    delta = np.einsum("na,nab->nb", x, gradients) / norm[:, None]
    product = x[:, :, None] * delta[:, None, :]
    return delta if close(product, gradients, NEAR * certainty(evidence, i)) else None


def solved(gradients: Array, w: Array, evidence: Evidence, i: int) -> Array | None:
    """δ, if each sample's own gradient is δₙ·wᵀ, and that has one solution."""
    w = np.asarray(w, np.float64)
    count = len(gradients)
    own = gradients[np.arange(count), np.arange(count)]
    if own.ndim != 2 or w.shape[0] < w.shape[1] or np.linalg.matrix_rank(w) < w.shape[1]:
        return None
    delta = own @ np.linalg.pinv(w.T)
    return delta if close(delta @ w.T, own, NEAR * certainty(evidence, i)) else None


def arguments(evidence: Evidence, products: list[tuple[int, int]], x: int, w: int) -> list[Array]:
    """What φ may be taken of: x·w, with the bias, with the other products of that shape."""
    alone = product_of(evidence, x, w)
    shape = alone.shape
    biases = [
        np.asarray(a, np.float64).reshape(1, -1)
        for k, a in enumerate(evidence.inputs)
        if k not in (x, w) and is_floating(a) and a.size == shape[1]
    ]
    others = [product_of(evidence, pair.x, pair.w) for pair in affines_of(evidence)]
    whole = sum((z for z in others if z.shape == shape), np.zeros(shape))
    beside = [product_of(evidence, *pair) for pair in products if not {x, w} & set(pair)]
    found = [alone, whole, *(alone + z for z in beside if z.shape == shape)]
    return found + [z + b for z in found for b in biases]


def product_of(evidence: Evidence, x: int, w: int) -> Array:
    return np.asarray(evidence.inputs[x] @ evidence.inputs[w], np.float64)


RECOGNISERS = (slope_inside, weights_untransposed)
