"""What a check is given beside its functions, and one clear error where it cannot be that."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import float_dtype, is_floating

Array = np.ndarray


def as_cotangents(given: Sequence[Any], outputs: Sequence[Array]) -> list[Array]:
    """One array of weights for each output, in its shape and precision."""
    if len(given) != len(outputs):
        raise ValueError(f"check: cotangent has {len(given)} arrays, expected {len(outputs)}")
    found = []
    for value, y in zip(given, outputs, strict=True):
        try:
            weights = np.asarray(value, float_dtype(y))
        except (TypeError, ValueError):
            what = repr(value)[:60]
            raise TypeError(f"check: a cotangent is {what}, expected real numbers") from None
        if weights.shape != y.shape:
            raise ValueError(f"check: a cotangent has shape {weights.shape}, expected {y.shape}")
        if not np.isfinite(weights).all():
            raise ValueError("check: a cotangent is not finite")
        found.append(weights)
    return found


def require_domain(where: str, domain: Any, names: Sequence[str], inputs: Sequence[Any]) -> None:
    """A domain is a pair of numbers for the name of an input, which lies inside."""
    if domain is None:
        return
    if not isinstance(domain, dict):
        raise TypeError(f"{where}: domain is {domain!r}, expected as in {{'x': (0.0, 1.0)}}")
    for name, bounds in domain.items():
        if name not in names:
            known = ", ".join(names)
            raise ValueError(f"{where}: domain has {name!r}, expected one of {known}")
        try:
            low, high = (float(bound) for bound in bounds)
        except (TypeError, ValueError):
            low, high = np.nan, np.nan
        if not low < high:
            expected = "the least and the greatest value"
            raise ValueError(f"{where}: domain of {name!r} is {bounds!r}, expected {expected}")
        array = inputs[list(names).index(name)]
        if is_floating(array) and ((array < low) | (array > high)).any():
            raise ValueError(f"{where}: {name} is outside its domain, from {low:g} to {high:g}")


def require_twin(where: str, twin: Any) -> None:
    if twin is not None and not callable(twin):
        raise TypeError(f"{where}: twin is {twin!r}, expected a function")
