"""compare: one array of gradients against differences, place by place."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradcheck.numeric import Estimate, directional_derivative
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, POWER, Finding

Array = np.ndarray

ENTRYWISE = 128
"""Arrays of up to so many entries are compared entry by entry."""

DIRECTIONS = 6
SINGLES = 10
"""Of a larger array: random directions, and single entries (half of them the steepest)."""

ROUNDING = 32.0
"""Units in the last place, of the largest entry, by which rounding may move a gradient."""

SPREAD = 8.0
"""Times what a unit in the last place of the inputs does to a gradient: rounding inside a
backward is like several such units."""

AIM = 0.01
"""The share of what a verdict needs at which no further ladder of steps is tried."""

NEGLIGIBLE = 1e-3
"""Gradients below this share of the natural one are not measured more closely at once."""

COARSE = 30.0
"""Differences in float32 are so few digits that less than so many bars is no contradiction."""

UNIT = float(np.finfo(np.float64).eps)

SMALL = 1e-3
"""An entry below this share of the largest gets a ladder of steps to its own size as well."""


@dataclass(frozen=True)
class Probe:
    """A place to measure at: an index or a direction, and what the gradient says there."""

    where: str
    direction: Array
    analytic: float

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.direction))


def compare(
    name: str,
    function: Callable[[Array], Array],
    x: Array,
    gradient: Array,
    weights: Array,
    rng: np.random.Generator,
    epsilon: float,
    spread: Array | None = None,
    shape: tuple[int, ...] | None = None,
) -> tuple[Finding, int]:
    """The finding for one array, and how many places of it were compared.

    `function` maps the array x to outputs; L = Σ weights·outputs is what `gradient` should
    be the gradient of. `spread` is how much rounding in its inputs moves each entry of it.
    """
    if refused := malformed(name, gradient, x.shape if shape is None else shape):
        return refused, 1
    if gradient.size == 0:
        return Finding(name, PASS, note="empty"), 0

    analytic = gradient.astype(np.float64)
    spread = np.zeros(gradient.shape) if spread is None else spread
    dtype = gradient.dtype if gradient.dtype in POWER else np.dtype(np.float64)
    power, unit = POWER[dtype], float(np.finfo(dtype).eps)
    steepest = float(abs(analytic).max())
    scale = float(abs(x).max()) or 1.0
    # A gradient of this size would change L by its own size over the size of x. One far
    # below it, measured as zero, is zero.
    natural = float(np.linalg.norm(weights * function(x.copy()))) / scale
    enough = power * max(steepest, NEGLIGIBLE * natural)
    measured = []
    for probe in probes(analytic, rng):

        def along(t: float, direction: Array = probe.direction) -> Array:
            return function((x + t * direction).astype(x.dtype))

        argument = float(np.linalg.norm(x * probe.direction))
        scales = (scale, argument) if 0 < argument < SMALL * scale else (scale,)
        estimate = directional_derivative(along, weights, scales, AIM * enough, epsilon, argument)
        slack = ROUNDING * unit * (steepest * probe.length + natural / 8)
        slack += SPREAD * float(np.linalg.norm(spread * probe.direction))
        measured.append((probe, estimate, estimate.error_bar + slack))

    largest = max([steepest] + [abs(e.value) for _, e, _ in measured if e.is_finite])
    is_zero = all(abs(p.analytic) <= bar >= abs(e.value) for p, e, bar in measured)
    judged = [
        judge(
            name,
            probe,
            estimate,
            bar,
            power * (natural if is_zero else largest * probe.length),
            is_coarse=epsilon > UNIT,
        )
        for probe, estimate, bar in measured
    ]
    return max(judged, key=lambda pair: pair[1])[0], len(judged)


def malformed(name: str, gradient: Array, shape: tuple[int, ...]) -> Finding | None:
    """The finding for what cannot be a gradient: of another kind or shape, or not finite."""
    if gradient.dtype.kind not in "fiub":
        return Finding(name, FAIL, note=f"the gradient has dtype {gradient.dtype}")
    if gradient.shape != shape:
        transposed = ", transposed" if gradient.T.shape == shape else ""
        note = f"the gradient has shape {gradient.shape}, the array {shape}{transposed}"
        return Finding(name, FAIL, note=note)
    finite = np.isfinite(gradient)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        return Finding(
            name,
            FAIL,
            str(where),
            float(gradient[where]),
            note="the gradient is not finite, where forward is",
        )
    return None


def judge(
    name: str, probe: Probe, estimate: Estimate, bar: float, enough: float, is_coarse: bool
) -> tuple[Finding, tuple[int, float]]:
    """One comparison, and how bad it is (for finding the worst)."""
    numbers = (probe.where, probe.analytic, estimate.value, bar)
    if not estimate.is_finite:
        note = "forward is not finite around here"
        return Finding(name, INCONCLUSIVE, *numbers, note), (1, np.inf)
    excess, note, verdict = abs(probe.analytic - estimate.value), "", FAIL
    if estimate.kink is not None:
        low, high = estimate.kink
        excess = max(low - probe.analytic, probe.analytic - high, 0.0)
        note = f"a kink: slopes {low:.6g} and {high:.6g}"
        # Kinks that meet may put a right gradient outside the slopes of their sum.
        verdict = INCONCLUSIVE
    ratio = excess / bar if bar else (np.inf if excess else 0.0)
    if is_coarse and ratio < COARSE:
        verdict, note = INCONCLUSIVE, note or "differences in float32 cannot tell"
    torn = [
        r
        for r in estimate.rivals
        if estimate.is_flat or abs(probe.analytic - r.value) <= bar + r.error_bar
    ]
    if torn:
        note = f"other steps give {torn[0].value:.10g} ± {torn[0].error_bar:.2g}"
        if excess > bar or estimate.is_flat:
            return Finding(name, INCONCLUSIVE, *numbers, note), (1, ratio)
    if excess > bar:
        return Finding(name, verdict, *numbers, note), (2 if verdict == FAIL else 1, ratio)
    if bar > enough:
        note = note or "the error bar is too wide"
        return Finding(name, INCONCLUSIVE, *numbers, note), (1, bar)
    return Finding(name, PASS, *numbers, note), (0, ratio)


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
            along = float((signs * gradient).sum())
            found.append(Probe(f"random direction {k}", signs, along))
    for entry in entries:
        index = np.unravel_index(entry, gradient.shape)
        unit = np.zeros(gradient.shape)
        unit[index] = 1.0
        where = str(tuple(int(i) for i in index))
        found.append(Probe(where, unit, float(gradient[index])))
    return found
