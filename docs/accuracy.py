"""python docs/accuracy.py: measures the elementary functions and prints docs/accuracy.md's table.

An error is counted in units in the last place of the exact value, as rounded to the type. The
exact values of float32 are computed in float64, those of float64 in the 80-bit numbers of x86,
which have eleven bits more. Points are spread over the whole domain, over [-3, 3], and evenly
over all exponents.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from kernels import elementary, normal
from kernels.jit import jit

POINTS = 1_000_000
FLOATS = (np.float32, np.float64)


def has_wider_type() -> bool:
    """Whether there is a type that can judge float64."""
    return bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps / 1000)


def sigmoid(x):
    tail = np.exp(-abs(x))
    return np.where(x < 0, tail, 1) / (1 + tail)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def normal_cdf(x):
    """Φ(-a) = 1/2 - φ(a)·(a + a³/3 + a⁵/15 + …) up to a = 2, then φ(a)/(a + 1/(a + 2/(a + …)))."""
    a = abs(x)
    leading = a.astype(np.float32).astype(x.dtype)  # its square is exact
    density = np.exp(-leading * leading / 2) * np.exp(-(a - leading) * (a + leading) / 2)
    density /= np.sqrt(8 * np.arctan(x.dtype.type(1)))
    near = np.minimum(a, 2)
    term, series = near, near
    for k in range(1, 60):
        term = term * near * near / (2 * k + 1)
        series = series + term
    far = np.maximum(a, 2)
    fraction = far
    for k in range(250, 0, -1):
        fraction = far + k / fraction
    tail = np.where(a < 2, 0.5 - density * series, density / fraction)
    return np.where(x < 0, tail, 1 - tail)


def gelu(x):
    return x * normal_cdf(x)


def erf(x):
    """Σ (-1)ᵏ·x²ᵏ⁺¹·2/√π/(k!·(2k + 1)) up to |x| = 1/2, then 2Φ(√2·x) - 1."""
    near = np.clip(x, -0.5, 0.5)
    term, series = near, near
    for k in range(1, 30):
        term = -term * near * near / k
        series = series + term / (2 * k + 1)
    scale = 1 / np.sqrt(np.arctan(x.dtype.type(1)))
    far = 2 * normal_cdf(np.sqrt(x.dtype.type(2)) * x) - 1
    return np.where(abs(x) < 0.5, scale * series, far)


@dataclass(frozen=True)
class Function:
    """One function, its exact twin, and the interval on which it is judged in each type."""

    compiled: Callable
    exact: Callable
    float32: tuple[float, float]
    float64: tuple[float, float]

    @property
    def name(self) -> str:
        return self.compiled.__name__

    def points(self, dtype, count: int) -> np.ndarray:
        """About `count` points of the interval, the same each time."""
        low, high = getattr(self, np.dtype(dtype).name)
        rng = np.random.default_rng(count)
        part = count // 3
        sizes = np.exp(rng.uniform(np.log(1e-30), np.log(max(-low, high)), part))
        signs = rng.choice([-1.0, 1.0] if low < 0 else [1.0], part)
        spread = rng.uniform(low, high, part)
        near = rng.uniform(max(low, -3), min(high, 3), part)
        x = np.concatenate([spread, near, sizes * signs]).astype(dtype)
        return np.ascontiguousarray(x[(x >= low) & (x <= high)])

    def error(self, dtype, count: int) -> float:
        """The greatest error in units in the last place."""
        x = self.points(dtype, count)
        y = np.empty_like(x)
        with np.errstate(all="ignore"):
            apply(self.compiled)(x, y)
            wider = np.longdouble if dtype == np.float64 else np.float64
            exact = self.exact(x.astype(wider))
            size = np.maximum(abs(exact), np.finfo(dtype).tiny)
            unit = np.exp2(np.floor(np.log2(size)) - np.finfo(dtype).nmant)
            return float((abs(y - exact) / unit).max())


def apply(function):
    """The loop y[i] = function(x[i])."""

    @jit
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


FUNCTIONS = (
    Function(elementary.exp, np.exp, (-103.2, 88.7), (-744.4, 709.7)),
    Function(elementary.expm1, np.expm1, (-103, 88.7), (-745, 709.7)),
    Function(elementary.log, np.log, (1e-45, 3.4e38), (5e-324, 1.79e308)),
    Function(elementary.log1p, np.log1p, (-1 + 2**-23, 3.4e38), (-1 + 2**-52, 1.79e308)),
    Function(elementary.tanh, np.tanh, (-20, 20), (-40, 40)),
    Function(elementary.sigmoid, sigmoid, (-103.2, 100), (-744.4, 700)),
    Function(elementary.softplus, softplus, (-103.2, 3.4e38), (-744.4, 1.79e308)),
    Function(normal.erf, erf, (-5, 5), (-7, 7)),
    Function(normal.gelu, gelu, (-12.8, 9), (-37.4, 9)),
)


def rounded_up(error: float) -> float:
    return float(np.ceil(error * 10) / 10)


def table(count: int = POINTS) -> str:
    """One row for each function: the greatest error found, rounded up."""
    rows = ["| function | float32 | float64 |", "|---|---|---|"]
    for function in FUNCTIONS:
        single, double = (rounded_up(function.error(dtype, count)) for dtype in FLOATS)
        rows.append(f"| {function.name} | {single:.1f} | {double:.1f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
