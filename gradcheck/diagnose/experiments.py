"""Experiments on forward that several recognisers build on, each made once.

What they rest on is the Jacobian, entry of the input by entry: which outputs an entry reaches,
and how steeply.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gradcheck.arrays import flat, is_floating
from gradcheck.diagnose.evidence import Evidence
from gradcheck.stopwatch import Stopwatch

Array = np.ndarray
Kept = TypeVar("Kept")

STEPS = {np.dtype(np.float64): 6e-6, np.dtype(np.float32): 5e-3}
"""Of a central difference, relative to the argument: the cube root of eps."""

SMALLEST = 0.01
"""Of the largest entry: smaller ones are moved as if they were of that size."""

CERTAINTY = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 3e-3}
"""How exact, relative to the largest, such differences are."""

ENTRIES = 160
"""Of one input at most so many entries are moved, one after the other."""

NUMBERS = 4_000_000
"""A Jacobian is at most so large."""

SECONDS = 0.5
"""Longer than this no single experiment takes."""

ALLOWANCE = 0.03
"""Seconds for one Jacobian; of a forward that costs more, fewer entries are moved."""

DISTRIBUTED = 1e-5
"""How near to one the sum of a row of probabilities is, in either precision."""

TIMED = 3
"""Calls by which the cost of forward is measured."""

POINTS = 3
"""Fresh points at which what was seen at the first one is looked at again."""


@dataclass(frozen=True)
class Jacobian:
    """Slopes of all outputs, one row for each entry of one input.

    Attributes
    ----------
    entries : flat indices of the entries that were moved.
    slopes : [entry, flat output].
    reached : where an output changed at all.
    is_complete : every entry of the input was moved.
    """

    entries: Array
    slopes: Array
    reached: Array
    is_complete: bool


def remembered(evidence: Evidence, name: str, experiment: Callable[[], Kept]) -> Kept:
    """The outcome of an experiment that is made once."""
    if name not in evidence.memory:
        evidence.memory[name] = experiment()
    found: Kept = evidence.memory[name]
    return found


def analytic_of(evidence: Evidence, i: int) -> Array | None:
    """The gradient under test in float64 if it has the input's shape."""
    found = evidence.analytic[i]
    if found is None or found.dtype.kind not in "fiub" or not found.size:
        return None
    return np.asarray(found, np.float64) if found.shape == evidence.inputs[i].shape else None


def certainty(evidence: Evidence, i: int) -> float:
    """Relative to the largest entry, how far apart two equal gradients may be."""
    dtypes = {evidence.inputs[i].dtype, evidence.analytic[i].dtype}
    return max(CERTAINTY.get(dtype, CERTAINTY[np.dtype(np.float64)]) for dtype in dtypes)


def jacobian(evidence: Evidence, i: int) -> Jacobian | None:
    """At the point of the evidence; of a large input only the measured entries."""

    def experiment() -> Jacobian | None:
        return jacobian_at(evidence, i, evidence.inputs)

    return remembered(evidence, f"jacobian {i}", experiment)


def jacobian_at(evidence: Evidence, i: int, inputs: list[Any]) -> Jacobian | None:
    """None where forward is not finite, or takes too long."""
    outputs = evidence.outputs_at(inputs)
    if outputs is None or not inputs[i].size:
        return None
    centre = flat(outputs)
    entries = chosen_entries(evidence, i, affordable(evidence, inputs, centre.size))
    x = inputs[i]
    relative, largest = STEPS.get(x.dtype, STEPS[np.dtype(np.float64)]), float(abs(x).max()) or 1.0
    eps = float(np.finfo(x.dtype).eps)
    slopes = np.zeros((len(entries), centre.size))
    reached = np.zeros(slopes.shape, bool)
    watch = Stopwatch()
    for k, entry in enumerate(entries):
        h = relative * max(abs(float(x.flat[entry])), SMALLEST * largest)
        sides = [moved_outputs(evidence, i, inputs, int(entry), step) for step in (h, -h)]
        if sides[0] is None or sides[1] is None or watch.seconds > SECONDS:
            return None
        change = sides[0] - sides[1]
        slopes[k] = change / (2 * h)
        reached[k] = abs(change) > 64 * eps * (abs(centre) + abs(slopes[k]) * h)
    return Jacobian(entries, slopes, reached, len(entries) == x.size)


def affordable(evidence: Evidence, inputs: list[Any], outputs: int) -> int:
    """How many entries can be moved in the time and the memory there is."""
    seconds = []
    for _ in range(TIMED):  # of which the fastest counts: others may have had to wait
        watch = Stopwatch()
        evidence.outputs_at(inputs)
        seconds.append(watch.seconds)
    calls = ALLOWANCE / max(min(seconds), 1e-6)
    return int(max(8, min(calls / 2, NUMBERS // max(outputs, 1), ENTRIES)))


def chosen_entries(evidence: Evidence, i: int, most: int) -> Array:
    """All entries of a small input, of a large one those that were measured."""
    size = evidence.inputs[i].size
    if size <= most:
        return np.arange(size)
    measured = np.flatnonzero(evidence.measured(i).ravel())
    return measured if len(measured) <= most else measured[:: len(measured) // most + 1]


def moved_outputs(
    evidence: Evidence, i: int, inputs: list[Any], entry: int, step: float
) -> Array | None:
    """All outputs, in one vector, with one entry of input i moved."""
    value = inputs[i].copy()
    value.flat[entry] += step
    outputs = evidence.outputs_at([*inputs[:i], value, *inputs[i + 1 :]])
    if outputs is None:
        return None
    found = flat(outputs)
    return found if np.isfinite(found).all() else None


@dataclass(frozen=True)
class Elsewhere:
    """A fresh point: what backward says of some entries of one input there, and what is right."""

    inputs: list[Any]
    cotangents: list[Array]
    outputs: list[Array]
    entries: Array
    analytic: Array
    numeric: Array
    jacobian: Jacobian


def fresh_points(evidence: Evidence, i: int) -> list[Elsewhere]:
    """Inputs whose entries are permuted and stretched, other cotangents."""

    def experiment() -> list[Elsewhere]:
        count = POINTS if evidence.inputs[i].size <= ENTRIES else 1
        drawn = (fresh_point(evidence, i) for _ in range(count))
        return [point for point in drawn if point is not None]

    return remembered(evidence, f"fresh points {i}", experiment)


def fresh_point(evidence: Evidence, i: int) -> Elsewhere | None:
    inputs, cotangents = fresh_inputs(evidence), fresh_cotangents(evidence)
    outputs, gradients = evidence.outputs_at(inputs), evidence.gradients_at(cotangents, inputs)
    if outputs is None or gradients is None or gradients[i] is None:
        return None
    found = jacobian_at(evidence, i, inputs)
    if found is None or gradients[i].shape != inputs[i].shape:
        return None
    analytic = np.asarray(gradients[i], np.float64).ravel()[found.entries]
    numeric = found.slopes @ flat(cotangents)
    return Elsewhere(inputs, cotangents, outputs, found.entries, analytic, numeric, found)


def rounding_at(point: Elsewhere, i: int) -> float:
    """Relative to the largest entry, what rounding in the outputs may do to the differences."""
    x, largest = point.inputs[i], float(abs(point.numeric).max(initial=0))
    step = STEPS.get(x.dtype, STEPS[np.dtype(np.float64)]) * float(abs(x).max(initial=0))
    size = float(abs(flat(point.outputs) * flat(point.cotangents)).sum())
    return float(np.finfo(x.dtype).eps) * size / (step * largest) if step * largest else 0.0


def fresh_inputs(evidence: Evidence) -> list[Any]:
    """The same signs and about the same range, so that they stay in the domain."""
    rng = evidence.rng
    return [
        a if not is_floating(a)
        else rng.permutation(a) if are_distributions(a)
        else np.asarray(
            rng.permutation(a.ravel()).reshape(a.shape) * rng.uniform(0.8, 1.25), a.dtype
        )
        for a in evidence.inputs
    ]  # fmt: skip


def are_distributions(value: Array) -> bool:
    """Whether each row is one of probabilities: such rows stay whole."""
    if value.ndim < 2 or not value.size or value.shape[-1] < 2 or value.min() < 0:
        return False
    return bool(abs(value.sum(axis=-1) - 1).max() <= DISTRIBUTED)


def fresh_cotangents(evidence: Evidence) -> list[Array]:
    if evidence.is_fixed:
        return evidence.cotangents
    return [np.asarray(evidence.rng.standard_normal(c.shape), c.dtype) for c in evidence.cotangents]


def close(found: Array, expected: Array, certainty: float) -> bool:
    """The same numbers, relative to the largest of both."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return False
    scale = max(abs(found).max(initial=0), abs(expected).max(initial=0))
    return bool(abs(found - expected).max(initial=0) <= certainty * scale)


def agreement(evidence: Evidence, i: int, candidate: Array) -> float:
    """`Evidence.explains`, less where entries that are small are not explained at all.

    One entry of 10⁶ among others of size one would else decide alone.
    """
    match = evidence.explains(i, candidate)
    known = evidence.measured(i)
    if match == 0.0 or evidence.analytic[i].shape != known.shape:
        return match
    analytic, near = np.asarray(evidence.analytic[i], np.float64)[known], certainty(evidence, i)
    left, bars = abs(analytic - candidate[known]), np.nan_to_num(evidence.error_bars[i][known])
    slack = SMALLEST * near * evidence.scale(i) + bars
    return match * float(np.mean(left <= max(1e-3, near) * abs(analytic) + slack))


def batch_sizes(evidence: Evidence) -> Iterator[int]:
    """Sizes of axis 0: of the outputs, and of the first input, which may be reduced to them."""
    arrays = [*(y for y in evidence.outputs if y.ndim), *evidence.inputs[:1]]
    sizes = [a.shape[0] for a in arrays if isinstance(a, np.ndarray) and a.ndim and a.shape[0] > 1]
    yield from dict.fromkeys(sizes)
