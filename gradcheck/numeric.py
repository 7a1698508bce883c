"""Derivatives by differences, each with an error bar.

A central difference errs in two ways: by truncation, which falls with the step h, and by
rounding, which grows as 1/h. A ladder of steps, extrapolated to h = 0 (Richardson 1911;
Ridders 1982), shows both: truncation by how neighbouring entries of the table disagree,
rounding from the noise of the function itself. The entry whose sum is least is the answer,
and that sum, times a safety factor, is its error bar.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

LEVELS = 10
"""Steps in a ladder, each half of the one before."""

FIRST_STEPS = (2.0**-3, 2.0**-12, 2.0**-21)
"""Largest step of the first ladder and of those tried after it, relative to the input."""

SAFETY = 4.0
"""What an estimated error is multiplied by to make the bar. The estimate is a maximum of
observed disagreements, which now and then are small by chance."""

NOISE_FLOOR = 1.0
"""Rounding noise of a function value is taken as at least so many units in the last place."""

NOISE_POINTS = 7
"""Closely spaced values from which the noise of a function is measured."""

KINK_PERSISTENCE = 0.75
"""A gap between one-sided slopes that keeps more than this share when h is halved does not
come from curvature (which leaves half) but from a kink (which leaves all)."""


@dataclass(frozen=True)
class Estimate:
    """A derivative, how far off it may be, and the slopes on both sides where they differ."""

    value: float
    error_bar: float
    kink: tuple[float, float] | None = None

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.error_bar))


UNKNOWN = Estimate(np.nan, np.inf, kink=(np.nan, np.nan))


def directional_derivative(
    function: Callable[[float], Array],
    cotangent: Array,
    scale: float,
    enough: float = 0.0,
    epsilon: float = float(np.finfo(np.float64).eps),
) -> Estimate:
    """d/dt of Σ cotangent·function(t) at t = 0.

    Parameters
    ----------
    function : t to an array; differences are taken entry by entry before they are weighted
        and summed, so that what does not depend on t adds no noise.
    scale : the size of t at which the function may be expected to change shape.
    enough : stop at the first ladder whose bar is at most this.
    epsilon : relative rounding error of the arithmetic inside the function.
    """
    weights = np.asarray(cotangent, np.float64).ravel()

    def sample(t: float) -> Array:
        return np.asarray(function(t), np.float64).ravel()

    centre = sample(0.0)
    if not np.isfinite(centre).all():
        return UNKNOWN
    best = UNKNOWN
    moved = np.zeros(centre.shape, bool)
    for first in FIRST_STEPS:
        estimate = _ladder(sample, centre, weights, first * scale, epsilon, moved)
        if (estimate.kink is not None, estimate.error_bar) < (best.kink is not None, best.error_bar):
            best = estimate
        if best.error_bar <= enough and best.kink is None:
            break
    return best


def _ladder(
    sample: Callable[[float], Array],
    centre: Array,
    weights: Array,
    first: float,
    epsilon: float,
    moved: Array,
) -> Estimate:
    """The estimate from the ladder of steps that begins at `first`.

    `moved` marks the outputs that have been seen to change, in this ladder or a wider one.
    Those carry rounding noise even at steps so small that they happen not to change; where
    none has changed, all are taken to carry it, since saturation hides a slope as well.
    """
    steps, slopes, gaps = [], [], []
    for level in range(LEVELS):
        h = first * 0.5**level
        plus, minus = sample(h), sample(-h)
        if not (np.isfinite(plus).all() and np.isfinite(minus).all()):
            # Outside the domain; smaller steps stay inside.
            steps, slopes, gaps = [], [], []
            continue
        moved |= (plus != centre) | (minus != centre)
        steps.append(h)
        slopes.append(float(weights @ (plus - minus)) / (2 * h))
        gaps.append(float(weights @ ((plus - centre) + (minus - centre))) / h)
    if len(steps) < 3:
        return UNKNOWN
    noisy = weights * centre if not moved.any() else (weights * centre)[moved]
    floor = NOISE_FLOOR * epsilon * float(np.linalg.norm(noisy))
    noise = max(floor, measured_noise(sample, centre, weights, steps[-1]))
    value, error = richardson(steps, slopes, noise)
    return Estimate(value, SAFETY * error, _kink(steps, slopes, gaps, noise))


def richardson(steps: list[float], slopes: list[float], noise: float) -> tuple[float, float]:
    """The extrapolation of central slopes to h = 0, and its estimated error.

    Neville's scheme in h²: T[k, j] = T[k, j-1] + (T[k, j-1] - T[k-1, j-1])/(4ʲ - 1), for
    steps that halve. `noise` is the rounding error of one weighted function value.
    """
    best, least = np.nan, np.inf
    previous: list[float] = []
    previous_rounding: list[float] = []
    for h, slope in zip(steps, slopes, strict=True):
        row, rounding = [slope], [noise / h]
        for j in range(1, len(previous) + 1):
            factor = 4.0**j - 1
            row.append(row[j - 1] + (row[j - 1] - previous[j - 1]) / factor)
            rounding.append(rounding[j - 1] + (rounding[j - 1] + previous_rounding[j - 1]) / factor)
            neighbours = [row[j - 1], previous[j - 1], *previous[j : j + 1]]
            truncation = max(abs(row[j] - neighbour) for neighbour in neighbours)
            if truncation + rounding[j] < least:
                best, least = row[j], truncation + rounding[j]
        previous, previous_rounding = row, rounding
    return best, least


def measured_noise(
    sample: Callable[[float], Array], centre: Array, weights: Array, h: float
) -> float:
    """Standard deviation of the rounding noise in Σ weights·function, near t = 0.

    Values at closely spaced points differ by a smooth function plus noise; the k-th
    difference kills the smooth part and multiplies the noise by √(2k choose k)
    (Moré & Wild 2011, "Estimating computational noise").
    """
    spacing = h / 64
    points = (np.arange(NOISE_POINTS) - NOISE_POINTS // 2) * spacing
    values = [float(weights @ (sample(t) - centre)) for t in points]
    if not np.isfinite(values).all():
        return 0.0
    estimates = []
    differences = np.array(values)
    growth = 1.0
    for k in range(1, NOISE_POINTS):
        differences = np.diff(differences)
        growth *= 2.0 * (2 * k - 1) / k
        if k >= 3:
            estimates.append(float(np.sqrt(np.mean(differences**2) / growth)))
    return min(estimates)


def _kink(
    steps: list[float], slopes: list[float], gaps: list[float], noise: float
) -> tuple[float, float] | None:
    """The one-sided slopes at t = 0 if they differ for good, else None."""
    wide, middle, narrow = (abs(gap) for gap in gaps[-3:])
    significant = narrow > 16 * noise / steps[-1]
    if significant and narrow > KINK_PERSISTENCE * middle > KINK_PERSISTENCE**2 * wide:
        left, right = slopes[-1] - gaps[-1] / 2, slopes[-1] + gaps[-1] / 2
        return min(left, right), max(left, right)
    return None
