"""What theory predicts for a random network: mean-field recursions and laws of products.

Weights of a layer with n inputs are drawn from N(0, sigma_w²/n), biases from N(0, sigma_b²).
For wide layers the mean square q of the pre-activations then obeys a recursion, and the mean
square of the gradient is multiplied by a constant χ in each layer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kernels.op import OPS

Array = np.ndarray

PANELS = (-40.0, -8.0, -4.0, -2.0, -1.0, -0.5, -0.1, -0.01, 0.0)
"""Borders of the intervals of integration left of 0, and mirrored, right of it: kinks at 0
and slopes that are steep there cost no digits, as they do in Gauss-Hermite rules."""

NODES = 40
"""Gauss-Legendre nodes in each interval."""

ROUNDS = 1000
"""Steps of a fixed-point iteration, at most."""

SETTLED = 1e-14
"""Relative change at which an iteration has arrived."""

LARGEST = 1e100
"""A mean square beyond this grows without end."""


@dataclass(frozen=True)
class Phi:
    """An activation φ and its derivative, on arrays of any shape."""

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def activation(name: str, **settings: float) -> Phi:
    """The activation of that name from the table of operations; its default settings but for
    those given.
    """
    op = OPS[name]

    def value(x: Array) -> Array:
        (y,) = op.value(np.asarray(x, np.float64), **settings)
        return np.asarray(y)

    def derivative(x: Array) -> Array:
        x = np.asarray(x, np.float64)
        (dx,) = op.vjp((np.ones_like(x),), x, **settings)
        return np.asarray(dx)

    return Phi(name, value, derivative)


@lru_cache
def gaussian_rule() -> tuple[Array, Array]:
    """Nodes z and weights of E[f(z)] = Σ weight·f(z), z from N(0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    borders = np.array([*PANELS, *(-b for b in reversed(PANELS[:-1]))])
    low, high = borders[:-1, None], borders[1:, None]
    z = (low + high) / 2 + (high - low) / 2 * nodes
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z.ravel(), ((high - low) / 2 * weights * density).ravel()


def expectation(f: Callable[[Array], Array], q: float) -> float:
    """E[f(√q·z)], z from N(0, 1)."""
    z, weights = gaussian_rule()
    return float(weights @ f(math.sqrt(q) * z))


def next_mean_square(phi: Phi, q: float, sigma_w: float, sigma_b: float) -> float:
    """q' = σ_w²·E[φ(√q·z)²] + σ_b² (Poole et al. 2016, arXiv:1606.05340, eq. 3)."""
    return sigma_w**2 * expectation(lambda u: phi.value(u) ** 2, q) + sigma_b**2


def fixed_point(phi: Phi, sigma_w: float, sigma_b: float, start: float = 1.0) -> float:
    """q*, where the recursion of the mean square settles; inf where it grows without end."""
    q = start
    for _ in range(ROUNDS):
        first = next_mean_square(phi, q, sigma_w, sigma_b)
        second = next_mean_square(phi, first, sigma_w, sigma_b)
        if not second < LARGEST:
            return math.inf
        if abs(first - q) <= SETTLED * first or second < 1 / LARGEST:
            return second
        # Steffensen's step: the limit, if differences shrink by a constant factor.
        bend = second - 2 * first + q
        limit = q - (first - q) ** 2 / bend if bend else second
        q = limit if limit > 0 and abs(second - first) < abs(first - q) else second
    return q


def chi(phi: Phi, q: float, sigma_w: float) -> float:
    """χ = σ_w²·E[φ'(√q·z)²]: what a layer multiplies the mean square of the gradient by
    (Schoenholz et al. 2017, arXiv:1611.01232, eq. 4). Below 1 gradients vanish, above 1 they
    explode.
    """
    return sigma_w**2 * expectation(lambda u: phi.derivative(u) ** 2, q)


def depth_scale(chi_value: float) -> float:
    """ξ∇ = 1/|ln χ|: layers in which the gradient's mean square changes by a factor e."""
    if chi_value <= 0:
        return 0.0
    return math.inf if chi_value == 1 else 1 / abs(math.log(chi_value))


def critical_sigma_w(phi: Phi, sigma_b: float) -> float:
    """σ_w at which χ(q*) = 1 for that σ_b: the edge between vanishing and exploding.

    Bisection on σ_w, for which χ(q*) grows.
    """
    low, high = 1e-3, 1.0
    while chi_at(phi, high, sigma_b) < 1:
        low, high = high, 2 * high
        if high > 1e6:
            raise ValueError(f"critical_sigma_w: {phi.name} has no critical sigma_w")
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_at(phi, middle, sigma_b) < 1 else (low, middle)
    return (low + high) / 2


def chi_at(phi: Phi, sigma_w: float, sigma_b: float) -> float:
    """χ at the fixed point; where q grows without end, that of a very large q."""
    return chi(phi, min(fixed_point(phi, sigma_w, sigma_b), 1e12), sigma_w)


# -------------------------------------------------------------------------- batchnorm


def batchnorm_growth(phi: Phi) -> float:
    """E[φ'(z)²]/Var φ(z): growth of the squared gradient per layer with batchnorm, as the batch
    grows. For ReLU it is π/(π - 1) = 1.467 (Yang et al. 2019, arXiv:1902.08129).
    """
    mean = expectation(phi.value, 1.0)
    variance = expectation(lambda u: (phi.value(u) - mean) ** 2, 1.0)
    return expectation(lambda u: phi.derivative(u) ** 2, 1.0) / variance


def linear_batchnorm_growth(batch: int) -> float:
    """(B - 2)/(B - 3) per layer without an activation (Yang et al. 2019)."""
    if batch <= 3:
        return math.inf
    return (batch - 2) / (batch - 3)


# -------------------------------------------------------------------------- products, depth


def product_law(widths: list[int] | tuple[int, ...]) -> tuple[float, float]:
    """Mean and variance of ln of the squared gain of a He-initialised ReLU network.

    ln(‖J·u‖²) → N(-β/2, β) with β = 5·Σ 1/n over the hidden widths (Hanin & Nica 2018,
    arXiv:1812.05994).
    """
    beta = 5 * sum(1 / n for n in widths)
    return -beta / 2, beta


def singular_value_spread(depth: int, kind: str, is_relu: bool) -> float:
    """Var(s²)/mean(s²)² of the input-output Jacobian of a deep network at criticality, s its
    singular values: L for Gaussian linear layers, 0 for orthogonal ones, 2L and L with ReLU
    (Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735).
    """
    if kind not in ("gaussian", "orthogonal"):
        raise ValueError(f"singular_value_spread: kind is {kind!r}, expected gaussian, orthogonal")
    return float(depth * ((kind == "gaussian") + is_relu))


def mean_singular_value(gain: float) -> float:
    """Of a square matrix with n·Var = gain: √gain·8/(3π), 0.849 for Glorot's initialisation and
    0.490 for U(±1/√n), whose n·Var is 1/3 (Glorot & Bengio 2010).
    """
    return math.sqrt(gain) * 8 / (3 * math.pi)


def forward_gain(name: str, sigma_w: float) -> float:
    """Factor per layer of the mean square, for activations that are homogeneous: σ_w² for the
    identity, σ_w²/2 for ReLU (He et al. 2015, arXiv:1502.01852).
    """
    phi = activation(name)
    return sigma_w**2 * expectation(lambda u: phi.value(u) ** 2, 1.0)
