"""The largest stable learning rate 2/λmax, λmax the largest curvature of the loss.

Gradient descent on a quadratic multiplies the error along an eigenvector of the Hessian by
1 - lr·λ in every step, and so diverges exactly where lr > 2/λmax. Along the way of a network
the Hessian changes, and the bound with it (Cohen et al. 2021, arXiv:2103.00065).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlp.network import MLP
from mlp.stress.series import Array

STEP = 1e-4
"""Of the difference, of the size of the parameters: the error of a central difference is then
about 1e-8 of the third derivative, that of rounding 1e-12."""

SETTLED, ROUNDS = 1e-10, 3000
"""Relative change of the eigenvalue at which the iteration has arrived, and steps at most."""


def hessian_product(net: MLP, x: Any, y: Any) -> Callable[[Array], Array]:
    """The function v → H·v, by central differences of exact gradients in float64."""
    twin = net.astype(np.float64)
    inputs = np.asarray(x, np.float64)
    targets = y if np.asarray(y).dtype.kind in "iu" else np.asarray(y, np.float64)
    start = twin.params.copy()

    def gradient(params: Array) -> Array:
        twin.params = params
        twin.forward(inputs)
        twin.backward(targets)
        return np.array(twin.grads)

    def product(v: Array) -> Array:
        size = float(np.linalg.norm(v))
        step = STEP * max(1.0, float(np.linalg.norm(start))) / size
        difference = gradient(start + step * v) - gradient(start - step * v)
        return np.asarray(difference / (2 * step))

    return product


def largest_curvature(net: MLP, x: Any, y: Any, seed: int = 0) -> float:
    """λmax by power iteration, 0 where no direction curves upwards.

    The iteration finds the eigenvalue of largest size. Where that is negative, it is run again
    on the Hessian minus it, of which the largest is λmax minus it.
    """
    product = hessian_product(net, x, y)
    v = np.random.default_rng(seed).standard_normal(len(net.params))
    found = power_iteration(product, v)
    if found >= 0:
        return found
    return max(0.0, found + power_iteration(lambda u: product(u) - found * u, v))


def power_iteration(product: Callable[[Array], Array], v: Array) -> float:
    """The eigenvalue of largest size of a symmetric matrix: v·H·v of a v that has settled."""
    v = v / np.linalg.norm(v)
    value = 0.0
    for _ in range(ROUNDS):
        hv = product(v)
        last, value = value, float(v @ hv)
        size = np.linalg.norm(hv)
        if size == 0:
            return 0.0
        if abs(value - last) <= SETTLED * abs(value):
            break
        v = hv / size
    return value


def largest_stable_lr(net: MLP, x: Any, y: Any, seed: int = 0) -> float:
    """2/λmax at the network's present parameters; inf where nothing curves upwards."""
    curvature = largest_curvature(net, x, y, seed)
    return 2 / curvature if curvature > 0 else np.inf
