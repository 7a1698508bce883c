"""Derivatives by differences, each with an error bar.

A central difference errs in two ways: by truncation, which falls with the step h, and by
rounding, which grows as 1/h. A ladder of steps, extrapolated to h = 0 (Richardson 1911;
Ridders 1982), shows both: truncation by how neighbouring entries of the table disagree,
rounding by how the finer rungs scatter about the answer. The entry whose estimated error is
least is the answer, and that error, times a safety factor, is its bar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gradcheck.subject import Raised

Array = np.ndarray

LEVELS = 10
"""Rungs of a ladder, each half of the one above."""

SHORT = 5
"""Rungs of a short one."""

FIRST_STEPS = (2.0**-3, 2.0**-12, 2.0**-21)
"""Largest step of the first ladder and of those tried after it, relative to the input."""

CONFIRMATIONS = (2.0**-20, 2.0**-29)
"""Single steps far below a ladder: fine structure or a kink that it stepped over shows there."""

STEP = 6e-6
"""Of a single central difference, relative to the size of x: about the cube root of eps, where
truncation and rounding are equally small. Good to 9 or 10 digits."""

ROUNDINGS = 64.0
"""Times the least rounding that values must have: more than that is no rounding."""

SAFETY = 4.0
"""What an estimated error is multiplied by to make the bar. The estimates are maxima of
observed disagreements, which now and then are small by chance."""

CLOSES = 2
"""Halvings of the gap in a row that show curvature."""

SIGNIFICANT = 100.0
"""Bars that a slope must measure, for finer steps to be believed against coarser ones."""

KINK_PERSISTENCE = 0.75
"""Halving h halves the gap between one-sided slopes if it comes from curvature, and leaves it
if it comes from a kink: more than this share must be left, and not much more than all."""

KINK_RUNGS = 6
"""Over so many rungs the gap must stay; that of noise would do so by chance over two."""

KINK_RUNG = 5
"""Which rung of the finest ladder the slopes on both sides of a kink are read from."""


@dataclass(frozen=True)
class Estimate:
    """A derivative and how far off it may be.

    Attributes
    ----------
    kink : at a kink, the least and the greatest sum that one-sided slopes of the outputs can
        make; None where there is none.
    kink_bars : how far off each of the two may be.
    is_flat : no output changed at the steps that this comes from.
    rivals : what ladders of other steps said that contradicts it.
    """

    value: float
    error_bar: float
    kink: tuple[float, float] | None = None
    kink_bars: tuple[float, float] = (0.0, 0.0)
    is_flat: bool = False
    rivals: tuple["Estimate", ...] = ()

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.error_bar))

    def contradicts(self, other: "Estimate") -> bool:
        return bool(abs(self.value - other.value) > self.error_bar + other.error_bar)


UNKNOWN = Estimate(np.nan, np.inf)


@dataclass(frozen=True)
class Rung:
    """One step h: the central slope, and the bracket of one-sided slopes."""

    h: float
    slope: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        return self.low == self.high == 0


class Line:
    """The weighted outputs along one direction, as a function of t.

    Differences are taken output by output before they are weighted and summed, so that what
    does not depend on t adds no noise.
    """

    def __init__(self, function: Callable[[float], Array], weights: Array, epsilon: float):
        self.function, self.epsilon = function, epsilon
        self.weights = np.asarray(weights, np.float64).ravel()
        self.centre = np.asarray(function(0.0), np.float64).ravel()
        self.moved = np.zeros(self.centre.shape, bool)

    def sample(self, t: float) -> Array:
        """The outputs at t; not finite where the function raises, as outside its domain."""
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self.function(t), np.float64).ravel()
        except (ArithmeticError, ValueError, AssertionError, Raised):
            return np.full(self.centre.shape, np.nan)

    def rung(self, h: float) -> Rung | None:
        """The slopes over ±h, or None if a value there is not finite."""
        plus, minus = self.sample(h), self.sample(-h)
        if not (np.isfinite(plus).all() and np.isfinite(minus).all()):
            return None
        self.moved |= (plus != self.centre) | (minus != self.centre)
        forward = self.weights * (plus - self.centre) / h
        backward = self.weights * (self.centre - minus) / h
        slope = float(self.weights @ (plus - minus)) / (2 * h)
        return Rung(
            h,
            slope,
            float(np.minimum(forward, backward).sum()),
            float(np.maximum(forward, backward).sum()),
        )

    def intermediates(self) -> float:
        """The size of intermediates: one, unless outputs have digits that one would have lost."""
        largest = float(abs(self.centre).max(initial=0))
        if largest and (np.remainder(self.centre, self.epsilon) != 0).any():
            return min(1.0, largest)
        return 1.0

    def noise_floor(self) -> float:
        """Rounding of one weighted value, if outputs are right to their last place.

        Where no output was seen to move, a slope may be hidden in the rounding of
        intermediates.
        """
        if self.moved.any():
            sizes = (self.weights * self.centre)[self.moved]
        else:
            sizes = self.weights * np.maximum(abs(self.centre), self.intermediates())
        return self.epsilon * float(np.linalg.norm(sizes))


def directional_derivative(
    function: Callable[[float], Array],
    cotangent: Array,
    scales: tuple[float, ...],
    enough: float = 0.0,
    epsilon: float = float(np.finfo(np.float64).eps),
    argument: float = 0.0,
    is_short: bool = False,
) -> Estimate:
    """d/dt of Σ cotangent·function(t) at t = 0.

    Parameters
    ----------
    function : t to an array.
    scales : the sizes of t at which the function may be expected to change shape, the
        largest first; each has a ladder, and finer ones follow below the first.
    enough : stop at the first ladder whose bar is at most this.
    epsilon : relative rounding error of the arithmetic inside the function.
    argument : the size of what t is added to; its rounding moves t by epsilon times this.
    is_short : try few rungs first, for functions that cost much.
    """
    line = Line(function, cotangent, epsilon)
    if not np.isfinite(line.centre).all():
        return UNKNOWN
    confirmations = [rung for step in CONFIRMATIONS if (rung := line.rung(step * scales[0]))]
    coarse, *finer_steps = FIRST_STEPS
    firsts = [coarse * scale for scale in scales] + [step * scales[0] for step in finer_steps]
    found: list[Estimate] = []
    for first in sorted(firsts, reverse=True):
        rungs = ladder(line, first, SHORT if is_short else LEVELS)
        if len(rungs) < 3:
            continue
        below = [rung for rung in confirmations if rung.h < rungs[-1].h]
        if is_short:
            estimate = extrapolate(line, rungs, below, argument)
            is_sharp = estimate.error_bar <= enough and read_kink(line, rungs) is None
            if is_sharp and confirmed(line, estimate, below):
                return estimate
            rungs += ladder(line, rungs[-1].h / 2, LEVELS - SHORT)
        found.append(read_kink(line, rungs) or extrapolate(line, rungs, below, argument))
        is_sharp = found[-1].error_bar <= enough and found[-1].kink is None
        if is_sharp and confirmed(line, found[-1], below):
            break
    return most_certain(found)


def confirmed(line: Line, estimate: Estimate, below: list[Rung]) -> bool:
    """Whether steps far below a ladder agree with it, but for rounding.

    A ladder that begins far beyond the function's own scale may seem to converge to another
    answer: its few short rungs agree by chance.
    """
    noise = ROUNDINGS * line.noise_floor()
    return all(
        abs(rung.slope - estimate.value) <= estimate.error_bar + noise / rung.h for rung in below
    )


def most_certain(found: list[Estimate]) -> Estimate:
    """The estimate with the least bar, and beside it those that contradict it.

    A kink seen at the finest steps is one. Seen only from afar, it lies beside the point.
    """
    if not found:
        return UNKNOWN
    if found[-1].kink is not None:
        return found[-1]
    smooth = [estimate for estimate in found if estimate.kink is None]
    best = min(smooth, key=lambda estimate: estimate.error_bar)
    for finer in smooth[smooth.index(best) + 1 :]:
        # Over steps far longer than a wave the slopes of what is bounded all look like zero.
        if finer.contradicts(best) and abs(finer.value) > SIGNIFICANT * finer.error_bar:
            best = finer
    rivals = tuple(other for other in smooth if other.contradicts(best))
    return replace(best, rivals=rivals)


def ladder(line: Line, first: float, levels: int) -> list[Rung]:
    """Rungs from `first` downwards; those above one that leaves the domain are dropped."""
    rungs: list[Rung] = []
    for level in range(levels):
        rung = line.rung(first * 0.5**level)
        rungs = [*rungs, rung] if rung else []
    return rungs


def extrapolate(line: Line, rungs: list[Rung], finer: list[Rung], argument: float) -> Estimate:
    """The extrapolation to h = 0, with noise taken as large as the finer rungs show it to be."""
    noise = line.noise_floor()
    for _ in range(4):
        value, error, scatter, used = richardson(rungs, finer, noise, line.epsilon)
        needed = max(scatter, line.epsilon * argument * abs(value))
        if not needed > noise:
            break
        noise = needed
    is_flat = all(rung.is_flat for rung in rungs)
    error = max(error, straddled(used, noise))
    return Estimate(value, SAFETY * error, is_flat=is_flat)


def straddled(rungs: Sequence[Rung], noise: float) -> float:
    """The gap between one-sided slopes that halving h does not close: steps that reach over a
    kink beside the point tell nothing finer than that. 0 where finer steps do close it, by half
    each, as curvature does.
    """
    gaps = [rung.high - rung.low for rung in rungs]
    gap, halvings = 0.0, 0
    for (before, now), rung in zip(pairwise(gaps), rungs[1:], strict=True):
        if now <= 16 * noise / rung.h:
            continue
        if KINK_PERSISTENCE * before < now < before / KINK_PERSISTENCE:
            gap, halvings = now, 0
        elif before / 3 < now:
            halvings += 1
    return 0.0 if halvings >= CLOSES else gap


def richardson(
    rungs: list[Rung], finer: list[Rung], noise: float, epsilon: float
) -> tuple[float, float, float, list[Rung]]:
    """The extrapolated slope, its estimated error, the noise that finer rungs betray, and the
    rungs that it was extrapolated from.

    Neville's scheme in h²: T[k, j] = T[k, j-1] + (T[k, j-1] - T[k-1, j-1])/(4ʲ - 1), for
    steps that halve. `noise` is the rounding error of one weighted function value,
    `epsilon` the relative one.
    """
    table: list[list[float]] = []
    rounding: list[list[float]] = []
    best, least, place = np.nan, np.inf, (0, 0)
    for k, rung in enumerate(rungs):
        # x ± h is rounded, too, which matters where h is larger than x.
        row, errors = [rung.slope], [noise / rung.h + epsilon * max(abs(rung.low), abs(rung.high))]
        for j in range(1, k + 1):
            factor = 4.0**j - 1
            row.append(row[j - 1] + (row[j - 1] - table[-1][j - 1]) / factor)
            errors.append(errors[j - 1] + (errors[j - 1] + rounding[-1][j - 1]) / factor)
            neighbours = [row[j - 1], table[-1][j - 1], *table[-1][j : j + 1]]
            truncation = max(abs(row[j] - neighbour) for neighbour in neighbours)
            if truncation + errors[j] < least:
                best, least, place = row[j], truncation + errors[j], (k, j)
        table.append(row)
        rounding.append(errors)
    k, j = place
    below = [(table[i][j], rungs[i].h) for i in range(k + 1, len(rungs))]
    below += [(rung.slope, rung.h) for rung in finer]
    scatter = max((abs(slope - best) * h for slope, h in below), default=0.0)
    return best, least, scatter, rungs[k - j : k + 1]


def read_kink(line: Line, rungs: list[Rung]) -> Estimate | None:
    """The slopes on both sides of t = 0 if they differ for good, else None."""
    gaps = [rung.high - rung.low for rung in rungs[-KINK_RUNGS:]]
    rounding = line.epsilon * float(abs(line.weights * line.centre)[line.moved].sum())
    if not gaps[-1] > 16 * rounding / rungs[-1].h:
        return None
    for before, gap in pairwise(gaps):
        if not KINK_PERSISTENCE * before < gap < before / KINK_PERSISTENCE:
            return None
    rung = rungs[min(KINK_RUNG, len(rungs) - 1)]
    above = rungs[min(KINK_RUNG, len(rungs) - 1) - 1]
    drifts = abs(rung.low - above.low), abs(rung.high - above.high)
    low, high = (SAFETY * (drift + rounding / rung.h) for drift in drifts)
    return Estimate(rung.slope, max(low, high), (rung.low, rung.high), (low, high))
