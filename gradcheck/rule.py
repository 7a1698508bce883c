"""Which update rule is meant: by settings that are given, or by an optimiser's own."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from gradcheck.formulas import RULES, Rule

WHERE = "check_update"

SETTINGS = {
    "lr": ("lr", "learning_rate", "alpha", "eta"),
    "momentum": ("momentum", "mu"),
    "beta1": ("beta1", "beta_1", "b1"),
    "beta2": ("beta2", "beta_2", "b2", "rho", "decay_rate"),
    "eps": ("eps", "epsilon"),
    "weight_decay": ("weight_decay", "decay", "l2", "reg"),
}
"""Attributes in which an object keeps its settings."""

WAYS = ("L2", "decoupled")


def rule_of(step: Any, kind: str | None, settings: dict[str, float], way: str | None) -> Rule:
    """The rule; a TypeError or ValueError that names the argument for what is none."""
    if kind is not None and kind not in RULES:
        raise ValueError(f"{WHERE}: kind is {kind!r}, expected one of {', '.join(RULES)}")
    if way is not None and way not in WAYS:
        raise ValueError(f"{WHERE}: decay_way is {way!r}, expected one of {', '.join(WAYS)}")
    for name, value in settings.items():
        if name not in SETTINGS:
            raise TypeError(f"{WHERE}: no setting {name!r}, expected one of {', '.join(SETTINGS)}")
        if not isinstance(value, Real) or not np.isfinite(float(value)):
            raise TypeError(f"{WHERE}: {name} is {value!r}, expected a finite number")
    found: dict[str, Any] = dict(settings)
    for name, attributes in SETTINGS.items():
        values = (getattr(step, a, None) for a in attributes)
        own = next((float(v) for v in values if isinstance(v, (int, float, np.floating))), None)
        if name not in found and own is not None:
            found[name] = own
    if kind is None:
        kind = "momentum" if found.get("momentum") else "gradient_descent"
    return Rule(kind=kind, decay_way=way or ("decoupled" if kind == "adamw" else "L2"), **found)


def require(value: Any, name: str, kind: Any, expected: str) -> None:
    """A TypeError for an argument of another kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{WHERE}: {name} is {value!r}, expected {expected}")


def require_shapes(shapes: Sequence[tuple[int, ...]]) -> None:
    """A ValueError for what no parameter, or an empty one, has as its shape."""
    if not isinstance(shapes, (list, tuple)) or not shapes:
        raise ValueError(f"{WHERE}: shapes is {shapes!r}, expected shapes, as in [(3, 4)]")
    for k, shape in enumerate(shapes):
        is_shape = isinstance(shape, (list, tuple)) and all(
            isinstance(size, (int, np.integer)) and size > 0 for size in shape
        )
        if not is_shape:
            expected = "a tuple of sizes from 1 on"
            raise ValueError(f"{WHERE}: shapes[{k}] is {shape!r}, expected {expected}")
