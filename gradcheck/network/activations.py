"""Which activation a layer of a network has, as a replay needs it.

An activation that is none of the table is replayed by its own forward, and differentiated by
differences, entry by entry.
"""

import copy
from typing import Any

import numpy as np

from gradcheck.activations import ACTIVATIONS, FURTHER, LEAKY, Activation, Function
from gradcheck.subject import FAULTS, Raised

Array = np.ndarray

KNOWN = (*ACTIVATIONS.values(), *FURTHER, *LEAKY)
"""Those that are recognised; those of the course come first."""

STEP = 2.0**-12
"""Of differences of a foreign activation: extrapolated once, they err by about 1e-11."""

GRID = np.array([[-3.0, -1.7, -0.9, -0.31, -0.04, 0.07, 0.4, 0.83, 1.6, 2.9]])
"""Arguments at which a layer is compared with the table."""

CLOSE = 1e-5
"""So near the layer's values must be to those of the table: float32 layers are among them."""


def identify(layer: Any) -> Activation | None:
    """Which function a layer computes, by its values; None where it cannot be called."""
    value = own_forward(layer)
    if value is None:
        return by_name(layer)
    try:
        found = value(GRID.copy())
        turned = value(GRID[:, ::-1].copy())
    except Raised:
        return by_name(layer)
    if found.shape != GRID.shape:
        return None
    for known in KNOWN:
        if np.allclose(found, known.value(GRID), rtol=CLOSE, atol=CLOSE):
            return known
    name = type(layer).__name__.lower()
    if turned.shape != found.shape or not np.allclose(found, turned[:, ::-1]):
        return None  # such as softmax: entries depend on one another
    return Activation(name, value, lambda z, y: differences(value, z))


def by_name(layer: Any) -> Activation | None:
    name = layer if isinstance(layer, str) else getattr(layer, "name", type(layer).__name__)
    plain = str(name).lower().replace("_", "")
    if plain in ("none", "nonetype", "linear"):
        plain = "identity"
    return next((a for a in KNOWN if a.name.replace("_", "") == plain), None)


def own_forward(layer: Any) -> Function | None:
    """The layer's forward, called on a copy of it, so that what it keeps stays."""
    if not callable(getattr(layer, "forward", None)):
        return None
    try:
        twin = copy.copy(layer)
    except FAULTS:
        return None
    vars(twin).pop("forward", None) if hasattr(twin, "__dict__") else None

    def forward(z: Array) -> Array:
        try:
            return np.asarray(twin.forward(z.copy()), np.float64)
        except FAULTS as error:
            raise Raised("forward of an activation", error) from error

    return forward


def differences(value: Function, z: Array) -> Array:
    """φ' entry by entry, by central differences of two steps."""
    h = STEP * np.maximum(abs(z), 1.0)
    coarse, fine = (
        (value(z + size) - value(z - size)) / ((z + size) - (z - size)) for size in (h, h / 2)
    )
    return np.asarray((4 * fine - coarse) / 3)
