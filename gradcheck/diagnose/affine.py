"""Affine maps, alone or inside a function: y = φ(x·w + b), whatever φ is.

That forward depends on x and w through x·w alone is found by experiment, not by their names:
x·Q and Q⁻¹·w must then give the same output for every Q.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import (
    agreement,
    analytic_of,
    certainty,
    close,
    fresh_cotangents,
    remembered,
)
from gradcheck.verdict import Cause

Array = np.ndarray

DRAWS = 6
"""Cotangents at most that the weights of backward are found from."""

UNUSED = "count as zero"
"""How weights are left out."""

ROWS = 64
"""Of outputs with more rows it is not asked whether φ' was taken at them."""

PROBES = 2
"""Directions of w along which the slope of φ is measured."""


@dataclass(frozen=True)
class Affine:
    """y = φ(x·w …) for inputs x and w.

    Attributes
    ----------
    x, w : which inputs they are.
    slope : φ' where φ works entry by entry, None where it does not.
    """

    x: int
    w: int
    slope: Array | None


def affine_of(evidence: Evidence, i: int) -> Affine | None:
    """The first pair of inputs that forward multiplies as matrices: one with input i, if any."""
    pairs = affines_of(evidence)
    return next((p for p in pairs if i in (p.x, p.w)), pairs[0] if pairs else None)


def affines_of(evidence: Evidence) -> list[Affine]:
    """All such pairs; remembered."""
    return remembered(evidence, "affine", lambda: list(find(evidence)))


def find(evidence: Evidence) -> Iterator[Affine]:
    if len(evidence.outputs) != 1 or evidence.is_fixed:
        return
    places = [k for k, a in enumerate(evidence.inputs) if is_floating(a) and a.ndim == 2]
    for x, w in permutations(places, 2):
        shape_x, shape_w = evidence.inputs[x].shape, evidence.inputs[w].shape
        if shape_x[1] == shape_w[0] and is_product(evidence, x, w):
            yield Affine(x, w, slope_inside(evidence, x, w))


def is_product(evidence: Evidence, x: int, w: int) -> bool:
    """x·Q, Q⁻¹·w gives the same output as x, w, and x·Q alone does not."""
    inputs = list(evidence.inputs)
    size = inputs[w].shape[0]
    scales = evidence.rng.choice([0.5, 2.0], size)  # diagonal times a shear: a mild inverse
    mix = np.diag(scales) + np.triu(np.full((size, size), 0.25 / size), 1)
    inverse = np.linalg.inv(mix)
    mixed = (inputs[x] @ mix).astype(inputs[x].dtype)
    undone = (inverse @ inputs[w]).astype(inputs[w].dtype)
    alone = evidence.outputs_at([mixed if k == x else a for k, a in enumerate(inputs)])
    both = evidence.outputs_at([{x: mixed, w: undone}.get(k, a) for k, a in enumerate(inputs)])
    plain = evidence.outputs_at(inputs)
    if alone is None or both is None or plain is None:
        return False
    near = 1e-9 if inputs[x].dtype == np.float64 else 1e-3
    return close(flat(both), flat(plain), near) and not close(flat(alone), flat(plain), 10 * near)


def slope_inside(evidence: Evidence, x: int, w: int) -> Array | None:
    """φ'(x·w …), from moving w: ∂y = φ'·(x·∂w) for any ∂w, if φ works entry by entry."""
    rows = evidence.inputs[x].shape[0]
    shape = (rows, evidence.inputs[w].shape[1])
    if evidence.outputs[0].shape != shape:
        return None
    found = []
    for _ in range(PROBES):
        direction = evidence.rng.standard_normal(evidence.inputs[w].shape)
        moved = evidence.inputs[x] @ direction
        slopes = evidence.slope(w, direction)
        if slopes is None:
            return None
        found.append((moved, slopes[0]))
    norm = sum(moved**2 for moved, _ in found)
    slope = np.divide(
        sum(moved * change for moved, change in found), norm, out=np.ones(shape), where=norm > 0
    )
    near = 1e-5 if evidence.inputs[x].dtype == np.float64 else 3e-2
    if all(close(slope * moved, change, near) for moved, change in found):
        return np.asarray(slope)
    return None


def derivative_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = φ(x·w + b), and dy takes the place of dz = dy·φ'(z), or φ' is taken elsewhere."""
    found = affine_of(evidence, i)
    if found is None or found.slope is None or np.ptp(found.slope) < 1e-3:
        return
    dy = evidence.cotangents[0]
    for candidate in gradients_of(evidence, found, i, dy):
        match = agreement(evidence, i, candidate)
        name = evidence.names[i]
        yield cause("activation-derivative-missing", match, name=name, detail=", z = x·w + b")
    at_output = slope_at_output(evidence, found)
    if at_output is not None:
        for candidate in gradients_of(evidence, found, i, dy * at_output):
            match = agreement(evidence, i, candidate)
            yield cause("activation-derivative-at-output", match, name=evidence.names[i])
    for candidate in gradients_of(evidence, found, i, dy * found.slope**2):
        match = agreement(evidence, i, candidate)
        yield cause("activation-derivative-twice", match)


def gradients_of(evidence: Evidence, found: Affine, i: int, dz: Array) -> Iterator[Array]:
    """The gradient of input i if dz is the one of z = x·w + b."""
    x, w = evidence.inputs[found.x], evidence.inputs[found.w]
    shape = evidence.inputs[i].shape
    if i == found.x:
        yield dz @ w.T
    elif i == found.w:
        yield x.T @ dz
    elif evidence.inputs[i].size == dz.shape[1]:
        yield dz.sum(axis=0).reshape(shape)
    elif shape == dz.shape:
        yield dz


def slope_at_output(evidence: Evidence, found: Affine) -> Array | None:
    """φ'(y), row by row of y: x = 1 in its first column alone and w = y in its first row alone
    move z to y.
    """
    x, w, y = evidence.inputs[found.x], evidence.inputs[found.w], evidence.outputs[0]
    if len(y) > ROWS or not np.isfinite(y).all():
        return None
    biases = [
        k for k, a in enumerate(evidence.inputs)
        if k not in (found.x, found.w) and is_floating(a) and a.size == y.shape[1]
    ]  # fmt: skip
    bias = evidence.inputs[biases[0]].ravel() if biases else 0.0
    ones, direction = np.zeros(x.shape, x.dtype), np.zeros(w.shape)
    ones[:, 0] = direction[0] = 1.0
    rows = []
    for k, row in enumerate(y):
        moved = np.zeros(w.shape, w.dtype)
        moved[0] = row - bias
        inputs = [{found.x: ones, found.w: moved}.get(j, a) for j, a in enumerate(evidence.inputs)]
        slopes = evidence.slope(found.w, direction, inputs)
        if slopes is None:
            return None
        rows.append(slopes[0][k])
    return np.array(rows)


def wrong_weights(evidence: Evidence, i: int) -> Iterator[Cause]:
    """dx = dz·M with another M than wᵀ."""
    found = affine_of(evidence, i)
    if found is None or i != found.x or analytic_of(evidence, i) is None:
        return
    used = weights_of_backward(evidence, found)
    if used is None:
        return
    w, near = evidence.inputs[found.w], 10 * certainty(evidence, i)
    scale = float((used * w.T).sum() / (w * w).sum())
    if close(used, scale * w.T, near) or is_rounded(used, w.T, near):
        return  # scaled, or right but for digits
    x_name, w_name = evidence.names[i], evidence.names[found.w]
    detail = what_weights(evidence, found, used, near)
    match = 0.9 if detail.endswith(UNUSED) else 1.0  # which is rather a sum without some terms
    yield cause("wrong-weights", match, detail=detail, x=x_name, w=w_name)


def is_rounded(used: Array, right: Array, near: float) -> bool:
    """Whether these are the right weights in half precision."""
    with np.errstate(over="ignore"):
        half = right.astype(np.float16).astype(np.float64)
    return close(used, half, near / 10)


def weights_of_backward(evidence: Evidence, found: Affine) -> Array | None:
    """The M for which dx = dz·M for every dy; None if there is none."""
    slope = found.slope
    if slope is None:
        return None
    rows, columns = slope.shape
    deltas, gradients = [evidence.cotangents[0] * slope], [evidence.analytic[found.x]]
    while rows * len(deltas) < columns + 2:
        if len(deltas) > DRAWS + columns:
            return None
        cotangents = fresh_cotangents(evidence)
        answer = evidence.gradients_at(cotangents)
        if answer is None or answer[found.x] is None:
            return None
        deltas.append(cotangents[0] * slope)
        gradients.append(answer[found.x])
    delta = np.concatenate(deltas).astype(np.float64)
    gradient = np.concatenate(gradients).astype(np.float64)
    if not np.isfinite(gradient).all() or gradient.shape[1] != evidence.inputs[found.x].shape[1]:
        return None
    used = np.linalg.lstsq(delta, gradient, rcond=None)[0]
    seen, right = delta.any(axis=0), evidence.inputs[found.w].T
    if seen.any() and not seen.all():  # nothing shows what is used of units that are dead
        size = float((right[seen] ** 2).sum())
        used[~seen] = right[~seen] * float((used[seen] * right[seen]).sum()) / size
    return used if close(delta @ used, gradient, 10 * certainty(evidence, found.x)) else None


def what_weights(evidence: Evidence, found: Affine, used: Array, near: float) -> str:
    """Which weights these are, if that can be told."""
    w, name = evidence.inputs[found.w], evidence.names[found.w]
    if used.shape == w.shape and close(used, w, near):
        return f"{name} was not transposed: dy·{name}"
    right = w.T
    for text, other in {
        "in another order of rows": right[::-1], "in another order of columns": right[:, ::-1],
        "its absolute value": abs(right), "its square": right**2,
    }.items():  # fmt: skip
        if close(used, other, near):
            return f"{name}ᵀ {text}"
    for k, other in enumerate(evidence.inputs):
        if k != found.w and is_floating(other) and other.ndim == 2:
            for text, candidate in (("", other), ("ᵀ", other.T)):
                if close(used, candidate, near):
                    return f"{evidence.names[k]}{text} was used"
    zero = (used == 0) | (abs(used) < 1e-9 * abs(right).max())
    if zero.any() and close(used, np.where(zero, 0.0, right), near):
        return f"{int(zero.sum())} of {zero.size} weights {UNUSED}"
    return "whose values are others; an update before backward would do that"


def updated_weights(evidence: Evidence, i: int) -> Iterator[Cause]:
    """dx = dz·(w − r·dw)ᵀ: the step was taken before dx was formed."""
    found = affine_of(evidence, i)
    analytic = analytic_of(evidence, i)
    if found is None or found.slope is None or i != found.x or analytic is None:
        return
    x, w = evidence.inputs[found.x], evidence.inputs[found.w]
    dz = evidence.cotangents[0] * found.slope
    right = dz @ w.T
    change, residual = dz @ (x.T @ dz).T, analytic - right
    norm = float((change * change).sum())
    rate = float((residual * change).sum()) / norm if norm else 0.0
    if not rate or not np.isfinite(rate):
        return
    match = agreement(evidence, i, right + rate * change)
    detail = (
        f"{evidence.names[found.w]} had been updated already, by {-rate:.3g} times its gradient"
    )
    yield cause(
        "wrong-weights", match, detail=detail, x=evidence.names[i], w=evidence.names[found.w]
    )


def wrong_product(evidence: Evidence, i: int) -> Iterator[Cause]:
    """dw from the wrong factors: yᵀ or zᵀ for xᵀ, dy for dyᵀ."""
    found = affine_of(evidence, i)
    if found is None or i != found.w or found.slope is None:
        return
    x, dy, y = evidence.inputs[found.x], evidence.cotangents[0], evidence.outputs[0]
    dz, shape = dy * found.slope, evidence.inputs[i].shape
    factors = {
        "xᵀ": x.T,
        "x": x,
        "yᵀ": y.T,
        "y": y,
        "wᵀ": evidence.inputs[i].T,
        "w": evidence.inputs[i],
    }
    deltas = {"dz": dz, "dzᵀ": dz.T}
    for left, a in factors.items():
        for right, b in deltas.items():
            if (left, right) == ("xᵀ", "dz") or a.shape[1] != b.shape[0]:
                continue
            candidate = a @ b
            if candidate.shape == shape:
                match = agreement(evidence, i, candidate)
                first = evidence.names[found.x]
                given = f"{left}·{right}".replace("x", first)
                yield cause("wrong-product", match, given=given, right=f"{first}ᵀ·dz")
                if left == "x" and right == "dz" and first.lower().startswith("w"):
                    detail = f"{first} was not transposed: {first}·dy where {first}ᵀ·dy is right"
                    yield cause("wrong-weights", match, detail=detail, x=evidence.names[i], w=first)


def hidden_derivative_missing(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = φ(x·u + b)·v: dh = dy·vᵀ takes the place of dz = dh·φ'(z); or z that of φ(z)."""
    found = affine_of(evidence, i)
    if found is None or found.slope is not None or evidence.outputs[0].ndim != 2:
        return
    x, u, dy = evidence.inputs[found.x], evidence.inputs[found.w], evidence.cotangents[0]
    for k, v in enumerate(evidence.inputs):
        if k in (found.x, found.w) or not is_floating(v) or v.shape != (u.shape[1], dy.shape[1]):
            continue
        name = evidence.names[i]
        if i == k:
            match = agreement(evidence, i, (x @ u).T @ dy)
            yield cause("wrong-product", match, given="zᵀ·dy", right="φ(z)ᵀ·dy")
        for weights in (v.T, v):
            if weights.shape[0] == dy.shape[1]:
                for candidate in gradients_of(evidence, found, i, dy @ weights):
                    match = agreement(evidence, i, candidate)
                    yield cause("activation-derivative-missing", match, name=name)


def self_product(evidence: Evidence, i: int) -> Iterator[Cause]:
    """y = x·xᵀ or xᵀ·x: x is both factors, and only one was differentiated."""
    x, outputs = evidence.inputs[i], evidence.outputs
    if x.ndim != 2 or len(outputs) != 1 or outputs[0].ndim != 2:
        return
    dy = evidence.cotangents[0]
    for product, candidates in (
        (x @ x.T, ("dy @ x", "dyT @ x")), (x.T @ x, ("x @ dy", "x @ dyT")),
    ):  # fmt: skip
        if not close(product, np.asarray(outputs[0], np.float64), 1e-6):
            continue
        for text in candidates:
            weight = dy.T if "dyT" in text else dy
            candidate = weight @ x if text.endswith("x") else x @ weight
            match = agreement(evidence, i, candidate)
            how = "both factors of the product are made of it"
            yield cause("path-missing", match, name=evidence.names[i], how=how)


RECOGNISERS = (
    derivative_missing,
    wrong_weights,
    updated_weights,
    wrong_product,
    hidden_derivative_missing,
    self_product,
)
