"""Is forward a normalisation, y = φ(γ·(z − mean)·rstd + β), and which: found by experiment.

Nothing is known of names or of the order of arguments. The input along which y is affine with
slope 1 is β; the one along which the slope is x̂ is γ; x̂ itself must be proportional to the
centred (or plain) source within each group. How the factor depends on the variance, from large
to vanishing, gives eps and where it stands.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.groups import Groups, partitions
from gradcheck.diagnose.source import Source, sources

Array = np.ndarray
Forward = Callable[[Sequence[Any]], list[Array] | None]

LARGEST = 200_000
"""Arrays of more entries are not looked at: the search would take too long."""

SPREADS = (1.0, 1e-3, 1e-7)
"""Of the source, beside the given one: eps counts for nothing at the first (what is nearly
linear for small arguments shows that it is no normalisation), and for all at the last."""

FIT = 1e-6
"""Relative: how well the formula must give what forward gives."""

FIT_THROUGH = 1e-4
"""The same where x̂ is seen only through the slope of an activation that follows."""

STEP = 1e-3
"""Of differences through an activation; extrapolated, they are good to ten digits."""


@dataclass(frozen=True)
class Root:
    """rstd = 1/√(factor·var + eps), or 1/(√(factor·var) + eps) where eps stands outside."""

    factor: float = 1.0
    eps: float = 0.0
    is_outside: bool = False

    def rstd(self, variance: Array) -> Array:
        scaled = self.factor * variance
        if self.is_outside:
            return np.asarray(1 / (np.sqrt(scaled) + self.eps))
        return np.asarray(1 / np.sqrt(scaled + self.eps))


@dataclass(frozen=True)
class Parts:
    """What the formulas of backward are made of, each laid out as the output."""

    groups: Groups
    z: Array
    centred: Array
    variance: Array
    gamma: Array
    cotangent: Array
    """Of γ·x̂ + β: dy, times the slope of what follows."""


@dataclass(frozen=True)
class Normalisation:
    """What was found.

    Attributes
    ----------
    gamma, beta : inputs; None where forward has none.
    is_centred : the mean is subtracted (not so in RMS norm).
    has_activation : something that is not the identity follows.
    """

    source: Source
    groups: Groups
    is_centred: bool
    gamma: int | None
    beta: int | None
    root: Root
    has_activation: bool
    forward: Forward
    axis: int | None = None
    """Of the output, along which γ and β run where they are vectors."""

    def parts(self, inputs: Sequence[Any], dy: Array) -> Parts | None:
        """None where forward cannot be evaluated."""
        z = self.source.value(inputs)
        follows = np.ones(z.shape)
        if self.has_activation and self.beta is not None:
            slope = slope_along(self.forward, inputs, self.beta)
            if slope is None:
                return None
            follows = slope
        gamma = np.ones(z.shape)
        if self.gamma is not None:
            gamma = expand(np.asarray(inputs[self.gamma], np.float64), z.shape, self.axis)
        centred = z - self.groups.mean(z) if self.is_centred else z
        variance = self.groups.mean(centred * centred)
        return Parts(self.groups, z, centred, variance, gamma, dy * follows)


def expand(parameter: Array, shape: tuple[int, ...], axis: int | None = None) -> Array:
    """γ or β laid out as the output: along the axis, or broadcast, or along axis 1."""
    if axis is not None and parameter.ndim == 1:
        along = [parameter.size if k == axis else 1 for k in range(len(shape))]
        return np.broadcast_to(parameter.reshape(along), shape)
    try:
        return np.broadcast_to(parameter, shape)
    except ValueError:
        column = parameter.reshape(-1, *[1] * (len(shape) - 2))
        return np.broadcast_to(column, shape)


def shrink(array: Array, like: Array, axis: int | None = None) -> Array | None:
    """The transpose of `expand`: summed to the shape of the parameter."""
    if axis is not None and like.ndim == 1:
        return np.asarray(array.sum(axis=tuple(k for k in range(array.ndim) if k != axis)))
    if like.ndim <= array.ndim and like.ndim != 1:
        padded = (1,) * (array.ndim - like.ndim) + like.shape
        axes = tuple(k for k, n in enumerate(padded) if n == 1)
        summed = array.sum(axis=axes, keepdims=True)
        return summed.reshape(like.shape) if summed.size == like.size else None
    for axis in (array.ndim - 1, 1):
        if axis < array.ndim and array.shape[axis] == like.size:
            return np.asarray(array.sum(axis=tuple(k for k in range(array.ndim) if k != axis)))
    return np.asarray(array.sum()).reshape(like.shape) if like.size == 1 else None


def replaced(inputs: Sequence[Any], values: dict[int, Array]) -> list[Any]:
    return [np.asarray(values[k], a.dtype) if k in values else a for k, a in enumerate(inputs)]


def first_output(forward: Forward, inputs: Sequence[Any]) -> Array | None:
    outputs = forward(inputs)
    if outputs is None or len(outputs) != 1 or not np.isfinite(outputs[0]).all():
        return None
    return np.asarray(outputs[0], np.float64)


def slope_along(forward: Forward, inputs: Sequence[Any], k: int) -> Array | None:
    """The slope of the output when all entries of input k grow at one rate."""
    slopes = []
    scale = STEP * max(1.0, float(abs(inputs[k]).max(initial=0)))
    for h in (scale, scale / 2, scale / 4):
        ends = [first_output(forward, replaced(inputs, {k: inputs[k] + s})) for s in (h, -h)]
        if ends[0] is None or ends[1] is None or ends[0].shape != ends[1].shape:
            return None
        slopes.append((ends[0] - ends[1]) / (2 * h))
    finer = [(4 * b - a) / 3 for a, b in zip(slopes, slopes[1:], strict=False)]
    return np.asarray((16 * finer[1] - finer[0]) / 15)


# ---------------------------------------------------------------------- what is affine in what


@dataclass(frozen=True)
class Seen:
    """x̂ as an experiment shows it, given which inputs are taken for γ and β."""

    forward: Forward
    gamma: int | None
    beta: int | None
    has_activation: bool

    def normalised(self, inputs: Sequence[Any]) -> tuple[Array, Array] | None:
        """x̂, and where it can be seen (an activation may hide it)."""
        if self.has_activation:
            return self.through_activation(inputs)
        zero = {} if self.beta is None else {self.beta: np.zeros_like(inputs[self.beta])}
        if self.gamma is None:
            y = first_output(self.forward, replaced(inputs, zero))
            return None if y is None else (y, np.ones(y.shape, bool))
        one = np.ones_like(inputs[self.gamma])
        plus = first_output(self.forward, replaced(inputs, zero | {self.gamma: one}))
        minus = first_output(self.forward, replaced(inputs, zero | {self.gamma: -one}))
        if plus is None or minus is None or plus.shape != minus.shape:
            return None
        return (plus - minus) / 2, np.ones(plus.shape, bool)

    def through_activation(self, inputs: Sequence[Any]) -> tuple[Array, Array] | None:
        """dy/dγ over dy/dβ, where the latter is not zero."""
        assert self.gamma is not None
        assert self.beta is not None
        along_gamma = slope_along(self.forward, inputs, self.gamma)
        along_beta = slope_along(self.forward, inputs, self.beta)
        if along_gamma is None or along_beta is None:
            return None
        seen = abs(along_beta) > 1e-2 * abs(along_beta).max(initial=0)
        return np.divide(along_gamma, along_beta, out=np.zeros(seen.shape), where=seen), seen


def views(forward: Forward, inputs: Sequence[Any], y: Array) -> Iterator[Seen]:
    """Which inputs may be γ and β: all pairs that their slopes allow."""
    small = [
        k
        for k, a in enumerate(inputs)
        if is_floating(a) and 0 < a.size < y.size and a.ndim <= y.ndim
    ]
    shifts: list[int] = []
    others: list[int] = []
    for k in small:
        moved = first_output(forward, replaced(inputs, {k: inputs[k] + 1}))
        if moved is None or moved.shape != y.shape:
            continue
        rounding = 64 * np.finfo(np.asarray(inputs[k]).dtype).eps * (1 + abs(y).max(initial=0))
        (shifts if abs(moved - y - 1).max(initial=0) <= rounding else others).append(k)
    for beta in (*shifts, None):
        for gamma in (*others, None):
            yield Seen(forward, gamma, beta, False)
    for first, second in permutations(others, 2) if not shifts else ():
        if inputs[first].shape == inputs[second].shape:
            yield Seen(forward, second, first, True)


# ---------------------------------------------------------------------- the formula


@dataclass(frozen=True)
class Fit:
    """x̂ = rstd·centred in each group: rstd and the variance, where there is any."""

    variance: Array
    rstd: Array


def fit(
    xhat: Array, seen: Array, z: Array, groups: Groups, is_centred: bool, tolerance: float
) -> Fit | None:
    """None where x̂ is not proportional to the centred source."""
    centred = z - groups.mean(z) if is_centred else z
    seen_square = groups.mean(centred * centred * seen)
    alive = (seen_square > 0) & np.isfinite(xhat)
    if not alive.any():
        return None
    product = groups.mean(np.where(seen, xhat, 0) * centred)
    rstd = np.divide(product, seen_square, out=np.zeros(z.shape), where=alive)
    left = abs(xhat - rstd * centred)[seen & alive].max(initial=0)
    largest = abs(xhat[seen & alive]).max(initial=0)
    shaky = 64 * np.finfo(float).eps * abs(z).max() * abs(rstd).max()
    if not (largest > 0 and left <= tolerance * largest + shaky and (rstd[alive] > 0).all()):
        return None
    variance = groups.mean(centred * centred)
    return Fit(variance[alive], rstd[alive])


def root_of(fits: Sequence[Fit], size: int, tolerance: float) -> Root | None:
    """The dependence of rstd on the variance that fits at all spreads."""
    variance, rstd = fits[-1].variance, fits[-1].rstd
    for factor in (1.0, size / (size - 1)):
        for is_outside in (False, True):
            scaled = factor * variance
            base = np.sqrt(scaled) if is_outside else scaled
            eps = float(np.median((1 / rstd if is_outside else 1 / rstd**2) - base))
            if eps <= tolerance * float(np.median(base)):
                eps = 0.0
            root = Root(factor, eps, is_outside)
            if all((abs(root.rstd(f.variance) / f.rstd - 1) <= tolerance).all() for f in fits):
                return root
    return None


def identify(forward: Forward, inputs: Sequence[Any], y: Array) -> Normalisation | None:
    """The normalisation that forward is; None where it is none, or none that is known."""
    if not 1 < y.size <= LARGEST or y.ndim == 0:
        return None
    y = np.asarray(y, np.float64)
    found = list(sources(inputs, y.shape))
    if not found or not np.isfinite(y).all():
        return None
    for seen in views(forward, inputs, y):
        visible = seen.normalised(inputs)
        if visible is None or visible[0].shape != y.shape:
            continue
        for source in found:
            if {seen.gamma, seen.beta} & set(source.inputs):
                continue
            if known := fitted(seen, source, inputs, *visible):
                return known
    return None


def fitted(
    seen: Seen, source: Source, inputs: Sequence[Any], xhat: Array, mask: Array
) -> Normalisation | None:
    """The normalisation of this source, if x̂ is that in some groups."""
    is_single = any(is_floating(a) and a.dtype != np.float64 for a in inputs)
    tolerance = FIT_THROUGH if seen.has_activation else FIT
    tolerance = max(tolerance, 1e-3 if is_single else 0.0)
    z = source.value(inputs)
    for groups, is_centred in product(partitions(z.shape), (True, False)):
        here = fit(xhat, mask, z, groups, is_centred, tolerance)
        if here is None:
            continue
        fits = [here]
        for spread in SPREADS:
            factor = spread / max(float(np.sqrt(here.variance.max())), 1e-300)
            moved = replaced(
                inputs, {k: inputs[k] * factor for k in (source.x, source.b) if k is not None}
            )
            visible = seen.normalised(moved)
            again = visible and fit(*visible, source.value(moved), groups, is_centred, tolerance)
            if not again:
                break
            fits.append(again)
        is_whole = len(fits) == 1 + len(SPREADS)
        root = root_of(fits, groups.size(z.shape), tolerance) if is_whole else None
        if root is not None:
            return Normalisation(
                source, groups, is_centred, seen.gamma, seen.beta, root,
                seen.has_activation, seen.forward, axis_of_parameters(seen, inputs),
            )  # fmt: skip
    return None


def axis_of_parameters(seen: Seen, inputs: Sequence[Any]) -> int | None:
    """The axis of the output along which one entry of β, or of γ, is seen at one place only."""
    for k in (seen.beta, seen.gamma):
        if k is None or inputs[k].ndim != 1 or inputs[k].size < 2:
            continue
        moved = inputs[k].copy()
        moved[0] += 1
        ends = [first_output(seen.forward, replaced(inputs, {k: p})) for p in (inputs[k], moved)]
        if ends[0] is None or ends[1] is None:
            return None
        changed = ends[0] != ends[1]
        for axis, size in enumerate(changed.shape):
            others = np.delete(np.moveaxis(changed, axis, 0), 0, axis=0)
            if size == inputs[k].size and changed.any() and not others.any():
                return axis
    return None
