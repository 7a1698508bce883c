"""Confidence interval of a mean by Student's t distribution, without SciPy."""

import math
from functools import lru_cache

import numpy as np

from mlp.stress.series import Array

CONFIDENCE = 0.95


@lru_cache
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """t with P(|T| ≤ t) = confidence for T of Student's distribution.

    With t = √ν·tan θ that probability is ∫₀^θ cos^(ν-1) / ∫₀^(π/2) cos^(ν-1); bisection on θ.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)

    def part(angle: float) -> float:
        """The integral from 0 to `angle`."""
        at = angle / 2 * (nodes + 1)
        return float(angle / 2 * (weights @ np.cos(at) ** (freedom - 1)))

    low, high, whole = 0.0, math.pi / 2, part(math.pi / 2)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if part(middle) < confidence * whole else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def mean_interval(values: Array) -> tuple[Array, Array, Array]:
    """Mean over the first axis, and the ends of its 95 % t-interval (infinite for one value)."""
    mean = values.mean(axis=0)
    if len(values) < 2:
        return mean, np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    half = t_quantile(len(values) - 1) * error
    return mean, mean - half, mean + half
