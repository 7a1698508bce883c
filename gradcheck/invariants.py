"""Relations that a known structure of forward makes exact: no differences, full sensitivity.

They hold only where forward was shown, by experiment, to have the structure.

- A normalisation does not see a shift of its groups: Σ dx = 0 over each. It sees a change of
  scale through eps alone: Σ x̂·dx = rstd·Σ(g·x̂)·ε/(var + ε), with g = γ·dy. (For the variance
  with another factor or eps outside the root, what the formula of backward says.)
- A softmax does not see a shift of a row: Σ dz = 0 over the classes, and shifts by 1000 change
  nothing, or exp overflows.
- Where forward at p = 0 does not depend on x (γ = 0), dx at p = 0 is zero.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating, jitter
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.normalisation import Normalisation, Parts, identify, replaced
from gradcheck.diagnose.normalisation_formulas import EPSILONS, describe, right_formula
from gradcheck.relations import Broken, Point
from gradcheck.structure import structure_of
from gradcheck.subject import Raised, Subject, same
from gradcheck.verdict import Cause

Array = np.ndarray

LARGEST = 50_000
"""Structure is looked for in outputs of up to so many entries."""

JITTERS = 3
SPREAD = 16.0
"""Times what a unit in the last place of the inputs does to a relation."""

ROUNDING = 64.0
"""Units in the last place of the sum before it cancels."""

SHIFT = 1000.0
"""Beyond what exp can take (88.7 in float32, 709.8 in float64)."""


def structural_relations(subject: Subject, point: Point) -> Iterator[Broken]:
    """All relations that the structure of forward implies, for each input."""
    if sum(y.size for y in point.outputs) > LARGEST or len(point.outputs) != 1:
        return
    yield from normalisation_relations(subject, point)
    yield from vanishing_relations(subject, point)
    yield from shift_relations(subject, point)


def outputs_at(subject: Subject, inputs: Sequence[Any]) -> list[Array] | None:
    try:
        with np.errstate(all="ignore"):
            return subject.outputs(inputs)
    except Raised:
        return None


def gradients_at(subject: Subject, point: Point, inputs: Sequence[Any]) -> list[Any] | None:
    try:
        with np.errstate(all="ignore"):
            return subject.gradients(point.cotangents, inputs)
    except Raised:
        return None


# ---------------------------------------------------------------------- normalisations


def normalisation_relations(subject: Subject, point: Point) -> Iterator[Broken]:
    """Σ dx = 0, and Σ x̂·dx as eps says, in each group of a normalisation."""

    def forward(inputs: Sequence[Any]) -> list[Array] | None:
        return outputs_at(subject, inputs)

    if not all(np.isfinite(y).all() for y in point.outputs):
        return
    found = identify(forward, point.inputs, point.outputs[0])
    if found is None or found.source.w is not None or found.has_activation:
        return
    i = found.source.x
    gradient = point.gradients[i]
    parts = found.parts(point.inputs, np.asarray(point.cotangents[0], np.float64))
    if parts is None or gradient is None or gradient.shape != parts.z.shape:
        return
    if gradient.dtype.kind != "f" or not np.isfinite(gradient).all():
        return
    name = subject.names[i]
    sizes = np.asarray(sum(abs(term) for term in right_formula(found).terms(parts)))
    moved = list(jittered(subject, point, found))
    if found.is_centred:
        off, bar = measured(np.ones(gradient.shape), gradient, parts, sizes, moved, 0.0)
        if (abs(off) > bar).any():
            note = f"forward does not see a shift along {found.groups.describe()}, yet Σ dx ≠ 0"
            yield Broken(name, cause("batchnorm-mean-term-missing", 0.5), note)
            return
    yield from eps_relation(name, found, gradient, parts, sizes, moved)


def eps_relation(
    name: str,
    found: Normalisation,
    gradient: Array,
    parts: Parts,
    sizes: Array,
    moved: list[tuple[Parts, Array]],
) -> Iterator[Broken]:
    """Σ x̂·dx, which eps alone keeps from being zero."""
    xhat = parts.centred * found.root.rstd(parts.variance)
    expected = parts.groups.mean(xhat * right_formula(found).dz(parts))
    off, bar = measured(xhat, gradient, parts, sizes, moved, expected, found)
    if not (abs(off) > bar).any():
        return
    best, detail = np.inf, f"forward's is {describe(found.root)}"
    for eps in EPSILONS:
        other = type(found.root)(found.root.factor, eps, found.root.is_outside)
        formula = right_formula(found)
        formula = type(formula)(other, other, formula.weights)
        mutant = formula.dz(parts)
        left = float(abs(gradient - mutant).max())
        if other != found.root and left < best:
            best, near = left, describe(other)
    distance = float(abs(gradient - right_formula(found).dz(parts)).max())
    match = 1.0 if best < 0.1 * distance else 0.5
    if match == 1.0:
        detail = f"{near} in backward, {describe(found.root)} in forward"
    note = "Σ x̂·dx is not what forward's eps makes it: rstd·Σ(γ·dy·x̂)·eps/(var + eps)"
    yield Broken(name, cause("batchnorm-eps-mismatch", match, detail=detail), note)


def jittered(subject: Subject, point: Point, found: Normalisation) -> Iterator[tuple[Parts, Array]]:
    """The same at inputs moved by one unit in the last place."""
    rng = np.random.default_rng(0)
    for _ in range(JITTERS):
        inputs = jitter(point.inputs, rng)
        gradients = gradients_at(subject, point, inputs)
        parts = found.parts(inputs, np.asarray(point.cotangents[0], np.float64))
        if gradients is not None and parts is not None:
            yield parts, np.asarray(gradients[found.source.x], np.float64)


def measured(
    weights: Array,
    gradient: Array,
    parts: Parts,
    sizes: Array,
    moved: list[tuple[Parts, Array]],
    expected: Any,
    found: Normalisation | None = None,
) -> tuple[Array, Array]:
    """The mean of weights·gradient in each group, less what it should be, and a bar for it."""
    mean = parts.groups.mean
    off = mean(weights * gradient) - expected
    unit = float(np.finfo(gradient.dtype).eps)
    spread = float(np.sqrt(parts.variance.mean())) or 1.0
    shaky = 1 + float(abs(parts.z).max()) / spread
    bar = ROUNDING * unit * shaky * mean((abs(weights) + unit) * (sizes + abs(gradient)))
    for other, again in moved:
        there = np.ones(gradient.shape)
        should: Any = expected
        if found is not None:
            there = other.centred * found.root.rstd(other.variance)
            should = mean(there * right_formula(found).dz(other))
        bar = np.maximum(bar, SPREAD * abs(mean(there * again) - should - off))
    return off, bar


# ---------------------------------------------------------------------- where exp overflows


def overflow(subject: Subject, inputs: Sequence[Any]) -> tuple[Cause, ...]:
    """Why forward is not finite: it is, if the maximum of each row of an input is subtracted."""
    for k, a in enumerate(inputs):
        if not is_floating(a) or a.ndim == 0 or not a.size or not np.isfinite(a).all():
            continue
        if a.max() <= np.log(np.finfo(a.dtype).max):
            continue  # exp does not overflow
        outputs = outputs_at(subject, replaced(inputs, {k: a - a.max(axis=-1, keepdims=True)}))
        if outputs is not None and all(np.isfinite(y).all() for y in outputs):
            return (cause("max-shift-missing"),)
    return ()


# ---------------------------------------------------------------------- where nothing can flow


def vanishing_relations(subject: Subject, point: Point) -> Iterator[Broken]:
    """With γ = 0 forward does not see x: dx must be zero. This shows a γ that is missing in
    backward also where γ = 1 hides it.
    """
    shapes = [a.shape for a in point.inputs if is_floating(a)]
    for k, p in enumerate(point.inputs):
        if not is_floating(p) or p.size == 0 or not p.any() or len(shapes) < 2:
            continue
        if point.gradients[k] is None or not allows_zeros(p):
            continue  # a function may rely on targets that sum to one
        inputs = replaced(point.inputs, {k: np.zeros_like(p)})
        for i in unseen(subject, point, inputs, k):
            gradients = gradients_at(subject, point, inputs)
            found = None if gradients is None else gradients[i]
            if found is None or not np.isfinite(found).all():
                continue
            scale = float(abs(np.asarray(point.gradients[i], np.float64)).max(initial=0))
            if scale and abs(found).max(initial=0) > 1e-3 * scale + point.rounding(i):
                name, other = subject.names[i], subject.names[k]
                note = f"with {other} = 0 forward does not see {name}, yet d{name} is not zero"
                yield Broken(name, named(subject, point, i, k, inputs, found), note)


def allows_zeros(array: Array) -> bool:
    structure = structure_of(array)
    return structure is None or structure.allows_zeros


def unseen(subject: Subject, point: Point, inputs: list[Any], k: int) -> Iterator[int]:
    """Inputs that forward does not see there, to the last bit, though it sees them here."""
    here = outputs_at(subject, inputs)
    if here is None or not all(np.isfinite(y).all() for y in here):
        return
    rng = np.random.default_rng(0)
    for i, x in enumerate(point.inputs):
        gradient = point.gradients[i]
        if i == k or not is_floating(x) or gradient is None or gradient.shape != x.shape:
            continue
        other = x + np.asarray(rng.standard_normal(x.shape), x.dtype) * (abs(x).max(initial=0) or 1)
        there = outputs_at(subject, replaced(inputs, {i: other}))
        if there is not None and all(
            a.shape == b.shape and (a == b).all() for a, b in zip(here, there, strict=True)
        ):
            yield i


def named(
    subject: Subject, point: Point, i: int, k: int, inputs: list[Any], gradient: Array
) -> Cause:
    """What earlier calls left, γ of a normalisation, a factor of no larger shape; else weights."""
    first = subject.gradients_at_first(point.cotangents, inputs)
    if first is not None and first[i] is not None and not same(first[i], gradient):
        detail = "where these inputs are the first that are seen, the gradient is another one"
        return cause("stale-cache", detail=detail)
    other, x = point.inputs[k], point.inputs[i]
    found = identify(lambda given: outputs_at(subject, given), point.inputs, point.outputs[0])
    if found is not None and found.gamma == k:
        return cause("batchnorm-gamma-missing", 0.9)
    if other.size <= x.size and x.shape == point.outputs[0].shape:
        factor = subject.names[k]
        return cause("chain-rule-factor-missing", 0.9, factor=factor, what="is missing")
    return cause("wrong-weights", 0.6, detail=f"{subject.names[k]} is not a factor of it")


# ---------------------------------------------------------------------- rows of logits


def shift_relations(subject: Subject, point: Point) -> Iterator[Broken]:
    """Where forward does not see a shift of each row, it does not overflow at 1000 either."""
    for i, z in enumerate(point.inputs):
        if not is_floating(z) or z.size < 2 or z.shape[-1] < 2 or point.gradients[i] is None:
            continue
        if not sees_no_shift(subject, point, i):
            continue
        for shift in (SHIFT, -SHIFT):
            inputs = replaced(point.inputs, {i: z + shift})
            outputs = outputs_at(subject, inputs)
            name = subject.names[i]
            if outputs is None or not np.isfinite(outputs[0]).all():
                note = f"forward is not finite at {name} {shift:+g}, where it should be as here"
                yield Broken("forward", cause("max-shift-missing"), note)
                return
            gradients = gradients_at(subject, point, inputs)
            if gradients is not None and not np.isfinite(gradients[i]).all():
                note = f"d{name} is not finite at {name} {shift:+g}, where it should not change"
                yield Broken(name, cause("max-shift-missing"), note)
                return


def sees_no_shift(subject: Subject, point: Point, i: int) -> bool:
    z, y = point.inputs[i], point.outputs[0]
    dtype = y.dtype if y.dtype.kind == "f" else np.dtype(np.float64)
    for shift in (1.0, -3.0):
        moved = outputs_at(subject, replaced(point.inputs, {i: z + shift}))
        size = float(abs(y).max(initial=0)) + float(abs(z).max(initial=0)) + abs(shift)
        if moved is None or moved[0].shape != y.shape:
            return False
        near = 16 * float(np.finfo(dtype).eps) * size
        if (
            not min(  # log-sum-exp moves by as much
                abs(moved[0] - y).max(initial=0), abs(moved[0] - y - shift).max(initial=0)
            )
            <= near
        ):
            return False
    return bool(np.ptp(z) > 0)
