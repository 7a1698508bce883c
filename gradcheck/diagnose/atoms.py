"""Atoms: the simple functions that factors of a derivative are looked for among."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Atom:
    """A function of one variable, `formula` with {} for its name."""

    formula: str
    function: Callable[[Array], Array]


def sigmoid(v: Array) -> Array:
    return 0.5 * (1 + np.tanh(v / 2))


ATOMS = (
    Atom("{}", lambda v: v),
    Atom("{}²", lambda v: v**2),
    Atom("1/{}", lambda v: 1 / v),
    Atom("sign({})", np.sign),
    Atom("({} > 0)", lambda v: (v > 0) * 1.0),
    Atom("|{}|", abs),
    Atom("{0}·(1 − {0})", lambda v: v * (1 - v)),
    Atom("(1 − {}²)", lambda v: 1 - v**2),
    Atom("(1 − {})", lambda v: 1 - v),
    Atom("exp({})", np.exp),
    Atom("exp(−{})", lambda v: np.exp(-v)),
    Atom("cos({})", np.cos),
    Atom("sin({})", np.sin),
    Atom("σ({})", sigmoid),
    Atom("σ'({})", lambda v: sigmoid(v) * (1 - sigmoid(v))),
    Atom("tanh({})", np.tanh),
    Atom("tanh'({})", lambda v: 1 - np.tanh(v) ** 2),
    Atom("1/{}²", lambda v: 1 / v**2),
    Atom("{}³", lambda v: v**3),
    Atom("√{}", np.sqrt),
    Atom("1/√{}", lambda v: 1 / np.sqrt(v)),
    Atom("log({})", np.log),
    Atom("log|{}|", lambda v: np.log(abs(v))),
    Atom("(1 + {})", lambda v: 1 + v),
    Atom("(1 + {}²)", lambda v: 1 + v**2),
    Atom("1/(1 − {}²)", lambda v: 1 / (1 - v**2)),
    Atom("√(1 − {}²)", lambda v: np.sqrt(1 - v**2)),
    Atom("1/√(1 − {}²)", lambda v: 1 / np.sqrt(1 - v**2)),
    Atom("√(1 + {}²)", lambda v: np.sqrt(1 + v**2)),
    Atom("1/√(1 + {}²)", lambda v: 1 / np.sqrt(1 + v**2)),
    Atom("1/(1 + {}²)", lambda v: 1 / (1 + v**2)),
    Atom("1/cos({})²", lambda v: 1 / np.cos(v) ** 2),
    Atom("1/cos({})", lambda v: 1 / np.cos(v)),
    Atom("exp(−{}²)", lambda v: np.exp(-(v**2))),
    Atom("exp(−{}²/2)", lambda v: np.exp(-(v**2) / 2)),
    Atom("sinh({})", np.sinh),
    Atom("cosh({})", np.cosh),
    Atom("arctan({})", np.arctan),
    Atom("σ({0})·(1 + {0}·(1 − σ({0})))", lambda v: sigmoid(v) * (1 + v * (1 - sigmoid(v)))),
)

MEASURED = 6
"""So many different values at least, for a factor to be recognised by them."""


@dataclass(frozen=True)
class Fit:
    """c·atom of a variable; `formula` has the constant in it."""

    formula: str
    atom: Array
    constant: float


def fits(
    factor: Array, weight: Array, tolerance: float, variables: dict[str, Array]
) -> Iterator[Fit]:
    """The atoms that are the factor, but for a constant; those without one come first.

    `weight` says how much each entry counts: the factor times it is what was measured.
    """
    usable = np.isfinite(factor) & (weight != 0)
    if len(np.unique(factor[usable])) < MEASURED:
        return
    found = []
    with np.errstate(all="ignore"):
        for name, values in variables.items():
            for atom in ATOMS:
                fit = fit_of(
                    atom, name, np.asarray(atom.function(values)), factor, weight, tolerance
                )
                if fit is not None:
                    found.append(fit)
    yield from sorted(found, key=lambda fit: abs(fit.constant - 1) > 1e-3)


def fit_of(
    atom: Atom, name: str, values: Array, factor: Array, weight: Array, tolerance: float
) -> Fit | None:
    usable = np.isfinite(factor) & np.isfinite(values)
    if usable.sum() < max(MEASURED, 0.9 * len(factor)):
        return None
    target, candidate = (factor * weight)[usable], (values * weight)[usable]
    norm = float(candidate @ candidate)
    constant = float(target @ candidate) / norm if norm else 0.0
    scale = abs(target).max()
    if not constant or abs(target - constant * candidate).max() > tolerance * scale:
        return None
    shown = (
        ""
        if abs(constant - 1) < 1e-3
        else ("−" if abs(constant + 1) < 1e-3 else f"{constant:.4g}·")
    )
    return Fit(shown + atom.formula.format(name), values, constant)


def power_of(values: Array, factor: Array, tolerance: float) -> tuple[float, float] | None:
    """(c, k) with factor = c·|values|ᵏ, k not zero, a multiple of one half."""
    with np.errstate(all="ignore"):
        usable = np.isfinite(factor) & (factor != 0) & (values != 0)
        if usable.sum() < max(3, 0.9 * len(factor)):
            return None
        logs, sizes = np.log(abs(values[usable])), np.log(abs(factor[usable]))
    if np.ptp(logs) < 1e-3:
        return None
    slope, offset = np.polyfit(logs, sizes, 1)
    k = round(2 * slope) / 2
    constant = float(np.exp(np.mean(sizes - k * logs)))
    left = abs(np.exp(sizes - k * logs) / constant - 1)
    if (
        not k
        or abs(k) > 8
        or np.median(left) > tolerance
        or abs(slope - k) > 0.01
        or offset != offset
    ):
        return None
    return constant, k
