"""Arguments of constructors: checked once, one clear error each."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def as_dtype(owner: str, value: Any) -> np.dtype:
    """float32 or float64, as a dtype."""
    for dtype in DTYPES:
        if isinstance(value, (np.dtype, type, str)) and value in (dtype, dtype.type, dtype.name):
            return dtype
    raise TypeError(f"{owner}: dtype is {value!r}, expected float32 or float64")


def as_sequence(where: str, value: Any) -> list[Any]:
    """A list of what is in an ordered collection."""
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray)):
        raise TypeError(f"{where} is {value!r}, expected a sequence")
    return list(value)


def whole(where: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{where} is {value!r}, expected a whole number")
    if value < low or (high is not None and value > high):
        bound = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{where} is {value}, expected {bound}")
    return int(value)


def by_name(where: str, name: Any, known: Iterable[str]) -> str:
    """`name`, if it is among the known ones; else an error that suggests the nearest."""
    known = tuple(known)
    if not isinstance(name, str):
        raise TypeError(f"{where} is {name!r}, expected one of {', '.join(known)}")
    if name in known:
        return name
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{where} is {name!r}, expected one of {', '.join(known)}{hint}")


def as_generator(where: str, seed: Any) -> np.random.Generator:
    """A generator from a seed, or the generator that is passed in."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        kind = type(error)
        raise kind(f"{where} is {seed!r}, expected a seed or a Generator: {error}") from None
