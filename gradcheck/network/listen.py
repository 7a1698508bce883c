"""Listening to a network: what each layer received and returned in one backward.

The methods of each layer are wrapped for as long; a layer that cannot be wrapped, or that a
network does not call, is simply not heard.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray

METHODS = ("forward", "backward", "derivative")


@dataclass(frozen=True)
class Call:
    """One call of a layer's method: copies of its first argument and of what it returned."""

    place: str
    method: str
    given: Any
    returned: Any


class Heard:
    """The calls of one forward and one backward, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def last(self, place: str, method: str) -> Call | None:
        matching = [c for c in self.calls if c.place == place and c.method == method]
        return matching[-1] if matching else None

    def returned(self, place: str, *methods: str) -> Array | None:
        """What the last call of one of the methods returned, where that is an array."""
        for method in methods:
            call = self.last(place, method)
            if call is not None and isinstance(call.returned, np.ndarray):
                return floating(call.returned)
        return None

    def given(self, place: str, method: str = "backward") -> Array | None:
        call = self.last(place, method)
        if call is None or not isinstance(call.given, np.ndarray):
            return None
        return floating(call.given)


def floating(array: Array) -> Array:
    """In its own precision, which says how near it can be to what it should be."""
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def layers_of(net: Any) -> Iterator[tuple[str, Any]]:
    """Everything of a network that may be called, with its place."""
    for kind in ("linear_layers", "bn_layers", "activations"):
        layers = getattr(net, kind, None)
        for i, layer in enumerate(layers if isinstance(layers, (list, tuple)) else ()):
            yield f"{kind}[{i}]", layer
    if getattr(net, "criterion", None) is not None:
        yield "criterion", net.criterion


@contextmanager
def listening(net: Any) -> Iterator[Heard]:
    """Hears every call of a layer's methods within."""
    heard = Heard()
    wrapped: list[tuple[Any, str, bool, Any]] = []
    seen: set[int] = set()
    try:
        for place, layer in layers_of(net):
            if id(layer) not in seen and hasattr(layer, "__dict__"):
                seen.add(id(layer))
                wrapped += [w for m in METHODS for w in wrap(heard, place, layer, m)]
        yield heard
    finally:
        for layer, method, was_own, original in reversed(wrapped):
            if was_own:
                setattr(layer, method, original)
            else:
                vars(layer).pop(method, None)


def wrap(heard: Heard, place: str, layer: Any, method: str) -> Sequence[tuple[Any, str, bool, Any]]:
    """Puts a listening method before the layer's own; tells how to take it away."""
    original = getattr(layer, method, None)
    if not callable(original) or isinstance(layer, type):
        return ()

    def heard_method(*given: Any, **named: Any) -> Any:
        first = copied(given[0]) if given else None
        returned = original(*given, **named)
        heard.calls.append(Call(place, method, first, copied(returned)))
        return returned

    was_own = method in vars(layer)
    try:
        setattr(layer, method, heard_method)
    except (AttributeError, TypeError):
        return ()
    return ((layer, method, was_own, original),)


def copied(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        value = value[0]  # a layer that returns (dx, dW, db)
    return np.array(value) if isinstance(value, (np.ndarray, np.generic)) else value
