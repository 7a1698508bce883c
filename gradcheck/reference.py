"""The NumPy reference of the toy's network, and how far rounding may have moved it.

Plain formulas, computed twice: in float64 and in extended precision. Their disagreement is
what rounding does to these very numbers, saturated sigmoids included, and gives the bar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray

EPS = 1e-8
"""Batchnorm's, inside the root, as the course has it."""

SAFETY = 16.0
"""The tested code may round in another order than the float64 reference does."""


@dataclass(frozen=True)
class Formula:
    """φ, and φ' in terms of y = φ(x)."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


FORMULAS = {
    "relu": Formula(lambda x: np.maximum(x, 0), lambda y: (y > 0).astype(y.dtype)),
    "sigmoid": Formula(lambda x: 1 / (1 + np.exp(-x)), lambda y: y * (1 - y)),
    "tanh": Formula(np.tanh, lambda y: 1 - y * y),
}


def quantities(
    weights: Sequence[Array],
    activation: str,
    batchnorm: int,
    x: Array,
    targets: Array,
    dtype: Any,
) -> dict[str, Array]:
    """Outputs and gradients of the mean loss, under the names of `toy.QUANTITIES`.

    Biases are 0, gammas 1 and betas 0. The loss is logsumexp(z) - y·z.
    """
    phi = FORMULAS[activation]
    weights = [w.astype(dtype) for w in weights]
    inputs, outputs, normalised = [], [x.astype(dtype)], []
    for i, w in enumerate(weights):
        inputs.append(outputs[-1])
        z = inputs[-1] @ w
        if i < batchnorm:
            centred = z - z.mean(axis=0)
            rstd = 1 / np.sqrt((centred**2).mean(axis=0) + dtype(EPS))
            z = centred * rstd
            normalised.append((z, rstd))
        outputs.append(phi.value(z))

    shifted = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
    dy = (shifted / shifted.sum(axis=1, keepdims=True) - targets) / dtype(len(x))
    found = {f"output of H{i}": y for i, y in enumerate(outputs[1:-1], 1)} | {"output": outputs[-1]}
    for i in reversed(range(len(weights))):
        dz = dy * phi.derivative(outputs[i + 1])
        if i < batchnorm:
            xhat, rstd = normalised[i]
            found[f"dgamma{i + 1}"] = (dz * xhat).sum(axis=0)
            found[f"dbeta{i + 1}"] = dz.sum(axis=0)
            dz = rstd * (dz - dz.mean(axis=0) - xhat * (dz * xhat).mean(axis=0))
        found[f"dW{i + 1}"] = inputs[i].T @ dz
        found[f"db{i + 1}"] = dz.sum(axis=0)
        dy = dz @ weights[i].T
        found[f"gradient wrt output of H{i}" if i else "gradient wrt input"] = dy
    return found


def with_bars(
    weights: Sequence[Array], activation: str, batchnorm: int, x: Array, targets: Array
) -> dict[str, tuple[Array, float]]:
    """Each quantity in extended precision, and the error bar of a float64 computation of it."""
    problem = (weights, activation, batchnorm, x, targets)
    exact, rounded = quantities(*problem, np.longdouble), quantities(*problem, np.float64)
    found = {}
    for name, value in exact.items():
        largest = float(abs(value).max(initial=0))
        off = float(abs(value - rounded[name]).max(initial=0)) + np.finfo(np.float64).eps * largest
        found[name] = value.astype(np.float64), SAFETY * off
    return found
