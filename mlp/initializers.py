"""First values of weights and biases, drawn from a generator that is passed in."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlp.arguments import by_name

Array = np.ndarray
Initializer = Callable[[np.random.Generator, int, int], Array]


def he(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """N(0, 2/n_in): keeps the mean square through ReLU (He et al. 2015, arXiv:1502.01852)."""
    return np.asarray(rng.normal(0.0, np.sqrt(2.0 / n_in), (n_in, n_out)))


def xavier(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """N(0, 2/(n_in + n_out)): keeps the mean square through linear layers, both ways
    (Glorot & Bengio 2010, eq. 12).
    """
    return np.asarray(rng.normal(0.0, np.sqrt(2.0 / (n_in + n_out)), (n_in, n_out)))


def zeros(_rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """All zero. Hidden units that start equal stay equal; for the last layer at most."""
    return np.zeros((n_in, n_out))


INITIALIZERS: dict[str, Initializer] = {"he": he, "xavier": xavier, "zeros": zeros}

HE_FAMILY = ("relu", "leaky_relu", "elu", "gelu", "silu")
"""Activations that pass about half of their input on; weights before them start as `he`."""


def default_initializer(activation: str) -> Initializer:
    """`he` before an activation of the ReLU family, `xavier` before any other."""
    return he if activation in HE_FAMILY else xavier


def as_weight_init(
    value: Any, activations: Sequence[Any], rng: np.random.Generator
) -> Callable[[int], Callable[[int, int], Any]]:
    """For each layer, by its number, the function of (in, out) that gives its first weights."""
    if callable(value):
        return lambda i: value
    if value is None:
        return lambda i: (
            lambda n_in, n_out: default_initializer(activations[i].name)(rng, n_in, n_out)
        )
    if not isinstance(value, str):
        raise TypeError(
            f"MLP: weight_init_fn is {value!r}, expected a function of (in, out) or "
            f"one of {', '.join(INITIALIZERS)}"
        )
    initializer = INITIALIZERS[by_name("MLP: weight_init_fn", value, INITIALIZERS)]
    return lambda i: lambda n_in, n_out: initializer(rng, n_in, n_out)
