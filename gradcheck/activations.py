"""Activation functions as data: φ, φ', and the formula that is usual for φ'."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Function = Callable[[Array], Array]

LEAK = 0.01


@dataclass(frozen=True)
class Activation:
    """φ, and its derivative as a function of z = the input and y = φ(z).

    Attributes
    ----------
    formula : of the derivative, for people.
    of : what the usual formula takes, "y" or "z".
    usual : that formula.
    """

    name: str
    value: Function
    derivative: Callable[[Array, Array], Array]
    formula: str = "φ'(z)"
    of: str = "z"
    usual: Function | None = None


def sigmoid(z: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-z)))


def step(z: Array) -> Array:
    return np.asarray((z > 0) * 1.0)


def slope_at_output(name: str, value: Function, usual: Function, formula: str) -> Activation:
    return Activation(name, value, lambda z, y: usual(y), formula, "y", usual)


def slope_at_input(name: str, value: Function, usual: Function, formula: str) -> Activation:
    return Activation(name, value, lambda z, y: usual(z), formula, "z", usual)


def leaky(name: str, leak: float) -> Activation:
    return slope_at_input(
        name,
        lambda z: np.where(z > 0, z, leak * z),
        lambda z: np.where(z > 0, 1.0, leak),
        "1 where z > 0, else the leak",
    )


ACTIVATIONS = {
    a.name: a
    for a in (
        slope_at_input("identity", lambda z: z + 0.0, np.ones_like, "1"),
        slope_at_input("relu", lambda z: np.maximum(z, 0), step, "z > 0"),
        slope_at_output("sigmoid", sigmoid, lambda y: y * (1 - y), "y·(1 − y)"),
        slope_at_output("tanh", np.tanh, lambda y: 1 - y * y, "1 − y²"),
        leaky("leaky_relu", LEAK),
        slope_at_input("softplus", lambda z: np.logaddexp(0, z), sigmoid, "sigmoid(z)"),
    )
}


def silu_slope(z: Array) -> Array:
    s = sigmoid(z)
    return np.asarray(s * (1 + z * (1 - s)))


FURTHER = (
    slope_at_input("silu", lambda z: z * sigmoid(z), silu_slope, "σ(z)·(1 + z·(1 − σ(z)))"),
    slope_at_input(
        "elu",
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.exp(np.minimum(z, 0)),
        "1 where z > 0, else exp(z)",
    ),
    slope_at_input(
        "softsign", lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2, "1/(1 + |z|)²"
    ),
    slope_at_input("sin", np.sin, np.cos, "cos(z)"),
    slope_at_input("arctan", np.arctan, lambda z: 1 / (1 + z * z), "1/(1 + z²)"),
)
"""Beyond those that a course's networks are made of."""

LEAKY = tuple(leaky(f"leaky_relu of slope {leak:g}", leak) for leak in (0.05, 0.1, 0.2, 0.25, 0.3))
"""With the other leaks that are usual."""
