"""Arithmetic that no exponent ends: arrays of float64 times a power of two, a Python integer.

    value = mantissa·2^exponent, the largest |mantissa| in [½, 1)

Each operation is that of float64 on the mantissas, and renormalises. One exponent serves a whole
array: entries that are smaller than its largest by 2⁻¹⁰⁷⁴ are lost, which no sum would see.
"""

import math
from dataclasses import dataclass

import numpy as np

from mlp.stress.theory import Phi

Array = np.ndarray

FAR = 60
"""Beyond ±2^FAR an activation is its own asymptote to the last bit, below 2^-FAR its tangent."""

LEAST = -2000
"""An exponent difference from which nothing of the smaller number is left."""


@dataclass(frozen=True)
class Scaled:
    """mantissa·2^exponent."""

    mantissa: Array
    exponent: int

    @property
    def log2_max(self) -> float:
        """Of the largest absolute value; as a float, good for exponents up to 2¹⁰²⁴."""
        largest = float(np.abs(self.mantissa).max(initial=0))
        return math.log2(largest) + self.exponent if largest else -math.inf

    def to_floats(self) -> Array:
        """As float64: inf and 0 where that has no such exponent."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.ldexp(self.mantissa, max(min(self.exponent, 4000), -4000)))

    @property
    def transposed(self) -> "Scaled":
        return Scaled(self.mantissa.T, self.exponent)


def scaled(values: Array, exponent: int = 0) -> Scaled:
    """values·2^exponent, renormalised; zeros have the exponent 0."""
    largest = np.abs(values).max(initial=0)
    if largest == 0:
        return Scaled(np.zeros_like(values, dtype=np.float64), 0)
    _, shift = np.frexp(largest)
    return Scaled(np.ldexp(np.asarray(values, np.float64), -int(shift)), exponent + int(shift))


def multiply(a: Scaled, b: Scaled) -> Scaled:
    """Entry by entry, broadcasting."""
    return scaled(a.mantissa * b.mantissa, a.exponent + b.exponent)


def matmul(a: Scaled, b: Scaled) -> Scaled:
    return scaled(a.mantissa @ b.mantissa, a.exponent + b.exponent)


def add(a: Scaled, b: Scaled) -> Scaled:
    """a + b, broadcasting: the smaller is brought to the exponent of the larger."""
    if not a.mantissa.any():
        return scaled(b.mantissa + 0 * a.mantissa, b.exponent)
    if b.mantissa.any() and a.exponent < b.exponent:
        a, b = b, a
    shift = max(b.exponent - a.exponent, LEAST) if b.mantissa.any() else 0
    return scaled(a.mantissa + np.ldexp(b.mantissa, shift), a.exponent)


def subtract(a: Scaled, b: Scaled) -> Scaled:
    return add(a, Scaled(-b.mantissa, b.exponent))


def times(a: Scaled, factor: float) -> Scaled:
    """a·factor, a float."""
    return scaled(a.mantissa * factor, a.exponent)


def total(a: Scaled, axis: int) -> Scaled:
    """The sum over an axis, which stays as one of length 1."""
    return scaled(a.mantissa.sum(axis=axis, keepdims=True), a.exponent)


def inverse_root(a: Scaled) -> Scaled:
    """1/√a for a > 0: the exponent is made even first."""
    odd = a.exponent % 2
    return scaled(1 / np.sqrt(np.ldexp(a.mantissa, odd)), -((a.exponent - odd) // 2))


# ------------------------------------------------------------------------------ activations


def activate(phi: Phi, x: Scaled) -> Scaled:
    """φ(x): far out the asymptote, near 0 the tangent where φ(0) = 0, between them φ itself."""
    if x.exponent < -FAR and not phi.value(np.zeros(1))[0]:
        return multiply(x, scaled(phi.derivative(np.sign(x.mantissa) * 2.0**-FAR)))
    if x.exponent <= FAR:
        return scaled(phi.value(x.to_floats()))
    bounds = np.sign(x.mantissa) * 2.0**FAR
    slopes, values = phi.derivative(bounds), phi.value(bounds)
    far = multiply(x, scaled(slopes))
    near = x.to_floats()
    is_near = np.abs(near) <= 2.0**FAR
    bounded = np.where(is_near, phi.value(np.where(is_near, near, 0)), values * (slopes == 0))
    return add(Scaled(np.where(is_near, 0.0, far.mantissa), far.exponent), scaled(bounded))


def slope(phi: Phi, x: Scaled) -> Array:
    """φ'(x), which is a float wherever x lies."""
    bound = 2.0**FAR
    if x.exponent < -FAR:
        return phi.derivative(np.sign(x.mantissa) * 2.0**-FAR * (x.mantissa != 0))
    return phi.derivative(np.clip(x.to_floats(), -bound, bound))


# ------------------------------------------------------------------------------------ losses


def softmax_gradient(z: Scaled, y: Array) -> tuple[Array, Scaled]:
    """softmax(z) - y of each row, and the losses logsumexp(z) - y·z."""
    top = z.mantissa.max(axis=1, keepdims=True)
    below = Scaled(z.mantissa - top, z.exponent).to_floats()
    weights = np.exp(below)
    sums = weights.sum(axis=1, keepdims=True)
    largest = add(Scaled(top, z.exponent), scaled(np.log(sums)))
    losses = subtract(largest, total(multiply(scaled(y), z), axis=1))
    return weights / sums - y, losses
