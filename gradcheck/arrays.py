"""Small things that the checker does with arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray


def generator(seed: int) -> np.random.Generator:
    """A stream of the checker's own: inputs drawn from `default_rng(seed)` by the caller
    must not come back as cotangents. (A cotangent equal to x makes the gradient through
    batchnorm vanish, and the check with it.)
    """
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise TypeError(f"seed is {seed!r}, expected a whole number from 0 on")
    return np.random.default_rng([seed, 0x6772_6164])


def is_floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def float_dtype(array: Array) -> np.dtype:
    return array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)


def flat(outputs: Sequence[Array]) -> Array:
    """All outputs as one vector of float64."""
    return np.concatenate([np.asarray(y, np.float64).ravel() for y in outputs])


def jitter(arrays: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """The arrays, every floating entry moved by one unit in the last place; zeros stay."""
    return [
        np.where(a == 0, a, np.nextafter(a, rng.choice([-np.inf, np.inf], a.shape).astype(a.dtype)))
        if is_floating(a) else a
        for a in arrays
    ]  # fmt: skip


def largest_difference(gradient: Any, others: list[Any]) -> Array:
    """Entry by entry, how far the others are from the gradient."""
    spread = np.zeros(gradient.shape)
    for other in others:
        if other is not None and other.shape == gradient.shape and other.dtype.kind in "fiub":
            spread = np.fmax(spread, abs(np.asarray(other, np.float64) - gradient))
    return spread


def within(
    function: Callable[[Array], Array], bounds: tuple[float, float] | None
) -> Callable[[Array], Array]:
    """The function, not defined outside the bounds."""
    if bounds is None:
        return function
    low, high = bounds

    def bounded(x: Array) -> Array:
        if x.min(initial=high) < low or x.max(initial=low) > high:
            raise ValueError(f"outside the domain from {low} to {high}")
        return function(x)

    return bounded
