"""compare: one array of gradients against differences, place by place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.budget import BudgetSpent
from gradcheck.infinite import around, infinite_entries, without
from gradcheck.numeric import SAFETY, UNKNOWN, Estimate, Line, directional_derivative
from gradcheck.progress import Progress, silent, tracked
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, POWER, Detail, Finding

Array = np.ndarray

ENTRYWISE = 64
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

DOUBT, COARSE = 10.0, 30.0
"""Bars by which a gradient must be off to be wrong: error bars are estimates, and those of
float32 are estimates of few digits. In between lies "inconclusive"."""

UNIT = float(np.finfo(np.float64).eps)

LONG = 4096
"""Arrays of more entries get short ladders, where these are sharp enough."""

PLANTED = 4.0
"""Times the widest bar that may pass: the size of the mistake that is planted as a control."""

QUICK = 2.0**-12
"""Step, relative to x, of the differences that show the pattern of a mistake already proved."""

SHOWN = 3
"""Entries with an infinite derivative that a note names."""

SMALL = 1e-3
"""An entry below this share of the largest gets a ladder of steps to its own size as well."""


@dataclass(frozen=True)
class Probe:
    """A place to measure at: an index or a direction, and what the gradient says there."""

    where: str
    direction: Array
    analytic: float
    index: tuple[int, ...] | None = None

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.direction))


@dataclass(frozen=True)
class Measured:
    """What differences say at one probe, and the bar for the gradient there."""

    probe: Probe
    estimate: Estimate
    bar: float


@dataclass(frozen=True)
class Comparison:
    """The finding for one array, and what it rests on."""

    finding: Finding
    count: int
    measured: tuple[Measured, ...] = ()
    is_alone: bool = False
    """One entry of a large array is wrong, all others are right."""


@dataclass(frozen=True)
class Quantity:
    """One array of gradients under test, and all that is needed to measure it.

    Attributes
    ----------
    function : the array x to outputs; L = Σ weights·outputs is what `gradient` should be the
        gradient of.
    epsilon : relative rounding error of the arithmetic inside the function.
    spread : how far rounding in its inputs moves each entry of the gradient.
    is_float32 : some input is, so that the gradient has no more digits, whatever its dtype.
    progress : is told how many places are measured.
    """

    name: str
    function: Callable[[Array], Array]
    x: Array
    gradient: Array
    weights: Array
    epsilon: float
    spread: Array | None = None
    is_float32: bool = False
    progress: Progress = silent

    def along(self, probe: Probe) -> Callable[[float], Array]:
        def moved(t: float) -> Array:
            return self.function((self.x + t * probe.direction).astype(self.x.dtype))

        return moved


def compare(
    quantity: Quantity, rng: np.random.Generator, places: Sequence[Probe] | None = None
) -> Comparison:
    """The finding for one array of gradients: at given places, or at those that `probes` picks.

    In a large array, measuring ends at the first direction that shows a mistake.
    """
    name, x, gradient = quantity.name, quantity.x, quantity.gradient
    if refused := malformed(name, gradient, x.shape):
        if (infinite := infinite_entries(quantity)) is not None:
            return beside(quantity, rng, places, infinite)
        return Comparison(refused, 1, measured_alone(quantity, rng))
    if gradient.size == 0:
        return Comparison(Finding(name, PASS, note="empty"), 0)
    if quantity.weights.size == 0:
        verdict = FAIL if gradient.any() else PASS
        return Comparison(Finding(name, verdict, note="forward has no outputs"), gradient.size)
    gauge = Gauge(quantity)
    places = probes(gradient.astype(np.float64), rng) if places is None else places
    measured: list[Measured] = []
    try:
        for probe in tracked(name, places, quantity.progress):
            measured.append(gauge.measure(probe, is_short=gradient.size > LONG))
            if gradient.size > ENTRYWISE and gauge.judge(measured[-1], measured).verdict == FAIL:
                break
    except BudgetSpent:  # one place that is wrong is proof enough
        if all(gauge.judge(one, measured).verdict != FAIL for one in measured):
            raise
    findings = [gauge.judge(one, measured) for one in measured]
    worst = max(range(len(findings)), key=lambda k: badness(findings[k], measured[k].bar))
    finding = findings[worst]
    if finding.verdict == PASS and not gauge.sees_planted_mistake(measured):
        note = "a mistake planted in the gradient was not seen"
        finding = replace(finding, verdict=INCONCLUSIVE, note=note)
    return Comparison(finding, len(measured), tuple(measured))


def beside(
    quantity: Quantity, rng: np.random.Generator, places: Sequence[Probe] | None, infinite: Array
) -> Comparison:
    """The comparison of all entries but those where backward says infinite, and is right."""
    if infinite.all():
        note = "the derivative is infinite at every entry"
        return Comparison(Finding(quantity.name, INCONCLUSIVE, note=note), 0)
    left = without(quantity, infinite)
    found = probes(left.gradient.astype(np.float64), rng) if places is None else list(places)
    comparison = compare(left, rng, around(found, left, infinite))
    where = ", ".join(str(tuple(int(k) for k in index)) for index in np.argwhere(infinite)[:SHOWN])
    note = f"the derivative is infinite at {where}: stepped around"
    if comparison.finding.note:
        note = f"{comparison.finding.note}; {note}"
    return replace(comparison, finding=replace(comparison.finding, note=note))


def measured_alone(quantity: Quantity, rng: np.random.Generator) -> tuple[Measured, ...]:
    """Entries of the right gradient, for a gradient that cannot be compared with it."""
    nothing = np.zeros(quantity.x.shape)
    if not nothing.size:
        return ()
    gauge = Gauge(replace(quantity, gradient=nothing, spread=None))
    entries = [probe for probe in probes(nothing, rng) if probe.index is not None]
    return tuple(gauge.measure(replace(probe, analytic=np.nan)) for probe in entries)


def badness(finding: Finding, bar: float) -> tuple[int, float]:
    """For finding the worst: failures first, by how many bars they are off."""
    rank = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}[finding.verdict]
    if not np.isfinite(finding.numeric):
        return rank, np.inf
    return rank, finding.excess if rank != 1 else bar


class Gauge:
    """Measures one quantity and judges what was measured."""

    def __init__(self, quantity: Quantity):
        self.quantity = quantity
        gradient = quantity.gradient
        dtype = gradient.dtype if gradient.dtype in POWER else np.dtype(np.float64)
        if quantity.is_float32:
            dtype = np.dtype(np.float32)
        self.power, self.unit = POWER[dtype], float(np.finfo(dtype).eps)
        self.tiny = float(np.finfo(dtype).tiny)
        self.doubt = COARSE if max(self.unit, quantity.epsilon) > UNIT else DOUBT
        if quantity.spread is not None and SPREAD * quantity.spread.max() > abs(gradient).max():
            self.doubt = np.inf  # the largest entry is nothing but rounding
        self.steepest = float(abs(gradient.astype(np.float64)).max())
        self.scale = float(abs(quantity.x).max()) or 1.0
        outputs = quantity.function(quantity.x.copy())
        # A gradient of this size would change L by its own size over the size of x. One far
        # below it, measured as zero, is zero.
        size = self.scale if self.scale >= SMALL else 1.0
        self.natural = float(np.linalg.norm(quantity.weights * outputs)) / size
        self.of_size_one = float(np.linalg.norm(quantity.weights)) / size
        self.enough = self.power * max(self.steepest, NEGLIGIBLE * self.natural)

    def measure(self, probe: Probe, is_short: bool = False) -> Measured:
        quantity = self.quantity
        argument = float(np.linalg.norm(quantity.x * probe.direction))
        scales: tuple[float, ...] = (self.scale,)
        if 0 < argument < SMALL * self.scale:
            scales = (self.scale, argument)
        if self.scale < SMALL:  # it may be smooth as far as one
            scales = (1.0, *scales)
        estimate = directional_derivative(
            quantity.along(probe),
            quantity.weights,
            scales,
            AIM * self.enough,
            quantity.epsilon,
            argument,
            is_short,
        )
        # At a kink, one unit in the last place takes backward to the other side: no rounding.
        return Measured(
            probe, estimate, estimate.error_bar + self.slack(probe, estimate.kink is None)
        )

    def slack(self, probe: Probe, is_smooth: bool = True) -> float:
        """How far rounding inside backward may have moved what it says."""
        slack = ROUNDING * self.unit * (self.steepest * probe.length + self.natural / 8)
        slack += ROUNDING * self.tiny * probe.length
        if self.quantity.spread is not None and is_smooth:
            slack += SPREAD * float(np.linalg.norm(self.quantity.spread * probe.direction))
        return slack

    def measure_quickly(self, probe: Probe) -> Measured:
        """Two central differences, h and h/2, extrapolated: four calls."""
        line = Line(self.quantity.along(probe), self.quantity.weights, self.quantity.epsilon)
        h = QUICK * self.scale
        coarse, fine = line.rung(h), line.rung(h / 2)
        if coarse is None or fine is None:
            return Measured(probe, UNKNOWN, np.inf)
        error = abs(fine.slope - coarse.slope) + 2 * line.noise_floor() / h
        estimate = Estimate((4 * fine.slope - coarse.slope) / 3, SAFETY * error)
        return Measured(probe, estimate, estimate.error_bar + self.slack(probe))

    def judge(self, one: Measured, measured: Sequence[Measured]) -> Finding:
        return judge(
            self.quantity.name,
            one.probe,
            one.estimate,
            one.bar,
            self.needed(one, measured),
            self.doubt,
        )

    def needed(self, one: Measured, measured: Sequence[Measured]) -> float:
        """The widest bar that lets a comparison pass: it must have seen an error of `POWER`."""
        if all(abs(m.probe.analytic) <= m.bar >= abs(m.estimate.value) for m in measured):
            # All zero. Where outputs are, too, the bar is held against outputs of size one.
            return self.power * (self.natural or self.of_size_one)
        seen = [abs(m.estimate.value) for m in measured if m.estimate.is_finite]
        return self.power * max([self.steepest, *seen]) * one.probe.length

    def sees_planted_mistake(self, measured: Sequence[Measured]) -> bool:
        """The negative control: the same numbers, but for a gradient that is wrong."""
        one = measured[0]
        wrong = one.probe.analytic + PLANTED * self.needed(one, measured)
        planted = replace(one, probe=replace(one.probe, analytic=wrong))
        is_kink = one.estimate.kink is not None
        return is_kink or self.judge(planted, measured).verdict != PASS


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
    name: str, probe: Probe, estimate: Estimate, bar: float, enough: float, doubt: float
) -> Finding:
    """One comparison, decided."""
    numbers = (probe.where, probe.analytic, estimate.value, bar)
    if not estimate.is_finite:
        return Finding(name, INCONCLUSIVE, *numbers, "forward is not finite around here")
    excess, note, verdict = abs(probe.analytic - estimate.value), "", FAIL
    if estimate.kink is not None:
        low, high = estimate.kink
        excess = max(low - probe.analytic, probe.analytic - high, 0.0)
        note = f"a kink: slopes {low:.6g} and {high:.6g}"
        # Kinks that meet may put a right gradient outside the slopes of their sum.
        verdict = INCONCLUSIVE
        # One slope may be steady while the other still drifts: just beside a kink.
        for side, side_bar in zip(estimate.kink, estimate.kink_bars, strict=True):
            if abs(probe.analytic - side) <= side_bar + bar - estimate.error_bar:
                bar = side_bar + bar - estimate.error_bar
                break
    ratio = excess / bar if bar else (np.inf if excess else 0.0)
    if 1 < ratio < doubt:
        verdict, note = INCONCLUSIVE, note or "rounding leaves too few digits to tell"
    torn = [
        r
        for r in estimate.rivals
        if estimate.is_flat or abs(probe.analytic - r.value) <= bar + r.error_bar
    ]
    if torn:
        note = f"other steps give {torn[0].value:.10g} ± {torn[0].error_bar:.2g}"
        if excess > bar or estimate.is_flat:
            return Finding(name, INCONCLUSIVE, *numbers, note)
    if excess > bar:
        return Finding(name, verdict, *numbers, note)
    if bar > enough:
        return Finding(name, INCONCLUSIVE, *numbers, note or "the error bar is too wide")
    return Finding(name, PASS, *numbers, note)


def probes(gradient: Array, rng: np.random.Generator) -> list[Probe]:
    """Where to measure: everywhere in a small array, else along directions and at entries."""
    if gradient.size <= ENTRYWISE:
        return [entry_probe(index, gradient) for index in np.ndindex(gradient.shape)]
    steep = np.argsort(-abs(gradient), axis=None)[: SINGLES // 2]
    entries = np.concatenate([steep, rng.integers(0, gradient.size, SINGLES - len(steep))])
    found = directions(gradient, rng, DIRECTIONS)
    for entry in entries:
        index = tuple(int(k) for k in np.unravel_index(entry, gradient.shape))
        found.append(entry_probe(index, gradient))
    return found


def directions(gradient: Array, rng: np.random.Generator, count: int) -> list[Probe]:
    """Random directions of ±1: a mistake anywhere shows along each of them."""
    found = []
    for k in range(count):
        signs = rng.choice([-1.0, 1.0], gradient.shape)
        found.append(Probe(f"random direction {k}", signs, float((signs * gradient).sum())))
    return found


def entry_probe(index: tuple[int, ...], gradient: Array) -> Probe:
    unit = np.zeros(gradient.shape)
    unit[index] = 1.0
    return Probe(str(index), unit, float(gradient[index]), index)


def detail_of(comparison: Comparison, shape: tuple[int, ...]) -> Detail | None:
    """The numbers at single entries, laid out as the array is."""
    single = [m for m in comparison.measured if m.probe.index is not None]
    if not single:
        return None
    analytic, numeric, bar = (np.full(shape, np.nan) for _ in range(3))
    for one in single:
        analytic[one.probe.index] = one.probe.analytic
        if one.estimate.is_finite and one.estimate.kink is None:
            numeric[one.probe.index], bar[one.probe.index] = one.estimate.value, one.bar
    return Detail(analytic, numeric, bar)
