"""check: is `backward` the gradient of `forward`?

Outputs are weighted by random cotangents of both signs, so that L = Σ cotangent·output is
one scalar and a backward that is not linear in its cotangent shows. Small arrays are
compared entry by entry; large ones along random directions of ±1, which see an error
anywhere, and at single entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.numeric import Estimate, directional_derivative
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, POWER, Finding, Report

Array = np.ndarray

ENTRYWISE = 128
"""Arrays of up to so many entries are compared entry by entry."""

DIRECTIONS = 6
SINGLES = 10
"""Of a larger array: random directions, and single entries (half of them the steepest)."""

ROUNDING = 32.0
"""Units in the last place, of the largest entry, by which rounding may move a gradient."""

AIM = 0.01
"""The share of what a verdict needs at which no further ladder of steps is tried."""

NEGLIGIBLE = 1e-3
"""Gradients below this share of the natural one are not measured more closely at once."""


@dataclass(frozen=True)
class Probe:
    """A place to measure at: an index or a direction, and what the gradient says there."""

    where: str
    direction: Array
    analytic: float

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.direction))


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    names: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "check",
) -> Report:
    """Compare `backward` with differences of `forward`.

    Parameters
    ----------
    forward : forward(*inputs) gives an array or a tuple of arrays.
    backward : backward(dy, *inputs) gives the gradient with respect to each input, None
        for one that is not checked; `dy` is a tuple where forward gives one.
    inputs : arrays; only floating ones are differentiated.
    seed : of every random draw.

    Returns
    -------
    Report : one finding for each input that has a gradient. A float32 input is also
        perturbed in float64 where `forward` accepts that: the differences are sharper.
    """
    inputs = [np.array(value) for value in inputs]
    names = list(names) if names is not None else [f"input{i}" for i in range(len(inputs))]
    if len(names) != len(inputs):
        raise ValueError(f"check: names has {len(names)} entries, expected {len(inputs)}")
    rng = generator(seed)

    outputs = as_tuple(forward(*copies(inputs)))
    cotangents = tuple(rng.standard_normal(np.shape(y)).astype(np.asarray(y).dtype) for y in outputs)
    dy: Any = cotangents if isinstance(forward(*copies(inputs)), tuple) else cotangents[0]
    gradients = as_tuple(backward(copies(dy) if isinstance(dy, tuple) else dy.copy(), *copies(inputs)))
    if len(gradients) != len(inputs):
        raise ValueError(f"check: backward gives {len(gradients)} gradients, expected "
                         f"{len(inputs)}, one for each input (None where there is none)")

    wide, epsilon = widest(forward, inputs)
    weights = flat(cotangents)
    findings, checked = [], 0
    for i, (name, gradient) in enumerate(zip(names, gradients, strict=True)):
        if gradient is None:
            continue

        def at(value: Array, position: int = i) -> Array:
            return flat(forward(*[value if j == position else w.copy() for j, w in enumerate(wide)]))

        finding, count = compare(name, at, wide[i], np.asarray(gradient), weights, rng, epsilon,
                                 inputs[i].shape)
        findings.append(finding)
        checked += count
    return Report(title, seed, tuple(findings), checked)


def compare(
    name: str,
    function: Callable[[Array], Array],
    x: Array,
    gradient: Array,
    weights: Array,
    rng: np.random.Generator,
    epsilon: float,
    shape: tuple[int, ...] | None = None,
) -> tuple[Finding, int]:
    """The finding for one array, and how many places of it were compared.

    `function` maps the array x to outputs; L = Σ weights·outputs is what `gradient` should
    be the gradient of.
    """
    shape = x.shape if shape is None else shape
    if gradient.shape != shape:
        return Finding(name, FAIL, note=f"the gradient has shape {gradient.shape}, the array "
                       f"{shape}"), 1
    if gradient.size == 0:
        return Finding(name, PASS, note="empty"), 0
    if not np.isfinite(gradient).all():
        where = str(tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0]))
        return Finding(name, FAIL, where, float(gradient[~np.isfinite(gradient)][0]),
                       note="the gradient is not finite"), 1

    power = POWER.get(gradient.dtype, POWER[np.dtype(np.float64)])
    rounding = ROUNDING * float(np.finfo(gradient.dtype).eps)
    analytic = gradient.astype(np.float64)
    steepest = float(abs(analytic).max())
    scale = float(abs(x).max()) or 1.0
    # A gradient of this size would change L by its own size over the size of x. One far
    # below it, measured as zero, is zero.
    natural = float(np.linalg.norm(weights * function(x))) / scale
    enough = power * max(steepest, NEGLIGIBLE * natural)
    measured = []
    for probe in probes(analytic, rng):

        def along(t: float, direction: Array = probe.direction) -> Array:
            return function(x + t * direction)

        estimate = directional_derivative(along, weights, scale, AIM * enough, epsilon)
        slack = rounding * (steepest * probe.length + natural / 8)
        measured.append((probe, estimate, estimate.error_bar + slack))

    largest = max([steepest] + [abs(e.value) for _, e, _ in measured if e.is_finite])
    is_zero = all(abs(p.analytic) <= bar >= abs(e.value) for p, e, bar in measured)
    judged = [
        judge(name, probe, estimate, bar, power * (natural if is_zero else largest * probe.length))
        for probe, estimate, bar in measured
    ]
    return max(judged, key=lambda pair: pair[1])[0], len(judged)


def judge(
    name: str, probe: Probe, estimate: Estimate, bar: float, enough: float
) -> tuple[Finding, tuple[int, float]]:
    """One comparison, and how bad it is (for finding the worst)."""
    numbers = (probe.where, probe.analytic, estimate.value, bar)
    if not estimate.is_finite:
        return Finding(name, INCONCLUSIVE, *numbers, "forward is not finite here"), (1, np.inf)
    excess = abs(probe.analytic - estimate.value)
    if estimate.kink is not None:
        low, high = estimate.kink
        excess = max(low - probe.analytic, probe.analytic - high, 0.0)
        note = f"a kink: slopes {low:.6g} and {high:.6g}"
        verdict = PASS if excess <= bar else FAIL
        return Finding(name, verdict, *numbers, note), (2 * (verdict == FAIL), excess / (bar or 1))
    ratio = excess / bar if bar else (np.inf if excess else 0.0)
    if excess > bar:
        return Finding(name, FAIL, *numbers), (2, ratio)
    if bar > enough:
        return Finding(name, INCONCLUSIVE, *numbers, "the error bar is too wide"), (1, bar)
    return Finding(name, PASS, *numbers), (0, ratio)


def probes(gradient: Array, rng: np.random.Generator) -> list[Probe]:
    """Where to measure: everywhere in a small array, else along directions and at entries."""
    found = []
    if gradient.size <= ENTRYWISE:
        entries = np.arange(gradient.size)
    else:
        steep = np.argsort(-abs(gradient), axis=None)[: SINGLES // 2]
        entries = np.concatenate([steep, rng.integers(0, gradient.size, SINGLES - len(steep))])
        for k in range(DIRECTIONS):
            signs = rng.choice([-1.0, 1.0], gradient.shape)
            found.append(Probe(f"random direction {k}", signs, float((signs * gradient).sum())))
    for entry in entries:
        index = np.unravel_index(entry, gradient.shape)
        unit = np.zeros(gradient.shape)
        unit[index] = 1.0
        found.append(Probe(str(tuple(int(i) for i in index)), unit, float(gradient[index])))
    return found


def widest(forward: Callable[..., Any], inputs: Sequence[Array]) -> tuple[list[Array], float]:
    """The inputs in float64 if `forward` computes in that too, and its relative rounding."""
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
    try:
        outputs = as_tuple(forward(*copies(wide)))
    except (TypeError, ValueError):
        outputs = (np.empty(0, np.float32),)
    if all(np.asarray(y).dtype == np.float64 for y in outputs):
        return wide, float(np.finfo(np.float64).eps)
    return list(inputs), float(np.finfo(np.float32).eps)


def generator(seed: int) -> np.random.Generator:
    """A stream of the checker's own: inputs drawn from `default_rng(seed)` by the caller
    must not come back as cotangents. (A cotangent equal to x makes the gradient through
    batchnorm vanish, and the check with it.)
    """
    return np.random.default_rng([seed, 0x6772_6164])


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def copies(arrays: Any) -> Any:
    return type(arrays)(np.array(a) for a in arrays)


def flat(outputs: Any) -> Array:
    """All outputs as one vector of float64."""
    return np.concatenate([np.asarray(y, np.float64).ravel() for y in as_tuple(outputs)])
