"""Which arrays of a layer are its parameters, and where it keeps their gradients.

Known by their names, as people write them: W and dW, weight and weight_grad, a dictionary
`params` beside `grads`, objects with `data` and `grad`. A caller may name them instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray

GRADIENT_NAMES = ("d{0}", "d_{0}", "grad_{0}", "{0}_grad", "{0}grad", "grad{0}", "g{0}", "{0}_g")
"""How the gradient of an array `{0}` is called."""

CONTAINERS = (
    ("params", "grads"),
    ("parameters", "gradients"),
    ("parameters", "grads"),
    ("params", "gradients"),
    ("params", "dparams"),
    ("weights", "grads"),
)
"""Attributes that hold all the parameters, and all their gradients."""

USUAL = ("W", "b", "w", "weight", "bias", "weights", "biases", "gamma", "beta", "kernel")
"""Names that are always a parameter's, in the order in which gradients are returned."""

VALUES, GRADIENTS = ("data", "value"), ("grad", "gradient")
"""Attributes of an object that holds one parameter."""


@dataclass(frozen=True)
class Place:
    """Where an array is kept: an attribute of an object, or an item of a dictionary or list."""

    holder: Any
    key: Any

    @property
    def is_item(self) -> bool:
        return isinstance(self.holder, (dict, list))

    def get(self) -> Any:
        if not self.is_item:
            return getattr(self.holder, self.key, None)
        try:
            return self.holder[self.key]
        except (KeyError, IndexError):
            return None

    def put(self, value: Any) -> None:
        """The numbers into the array that is there, where it can hold them, else a new array."""
        here = self.get()
        if isinstance(here, np.ndarray) and here.flags.writeable:
            value = np.asarray(value)
            if here.shape == value.shape and here.dtype == value.dtype:
                here[...] = value
                if self.get() is here:  # not a copy that a property makes
                    return
        if isinstance(here, float):
            value = float(value)
        if self.is_item:
            self.holder[self.key] = value
        else:
            setattr(self.holder, self.key, value)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a layer, and its gradient."""

    name: str
    value: Place
    gradient: Place


def is_number(value: Any) -> bool:
    """An array of real numbers, or one number."""
    return isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiu")


def named(layer: Any, names: dict[str, str]) -> list[Parameter]:
    """The parameters that the caller names: {"W": "dW"}, or with dots, {"params.W": "grads.W"}."""
    found = [Parameter(n, resolve(layer, n), resolve(layer, g)) for n, g in names.items()]
    for parameter in found:
        if not is_number(parameter.value.get()):
            raise ValueError(f"check_module: the layer has no array {parameter.name!r}")
    return found


def resolve(layer: Any, path: str) -> Place:
    """The place that a path such as "params.W" or "params.0" leads to."""
    *steps, last = path.split(".")
    holder = layer
    for step in steps:
        holder = Place(holder, key_for(holder, step)).get()
    return Place(holder, key_for(holder, last))


def key_for(holder: Any, step: str) -> Any:
    return int(step) if isinstance(holder, list) else step


def present(layer: Any) -> dict[str, Any]:
    """Arrays that are attributes of the layer now, with copies of their contents."""
    return {name: np.array(value) for name, value in attributes(layer) if is_number(value)}


def attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    for name in sorted(dir(layer), key=usual_first):
        if name.startswith("__") or callable(getattr(type(layer), name, None)):
            continue
        try:
            yield name, getattr(layer, name)
        except Exception:
            continue


def usual_first(name: str) -> tuple[int, str]:
    return (USUAL.index(name) if name in USUAL else len(USUAL), name)


def found(layer: Any, before: dict[str, Any]) -> list[Parameter]:
    """The parameters, once forward and backward have run so that gradients exist.

    `before` are the arrays that were there before: what has changed since is a cache.
    """
    pairs = [*by_attribute(layer, before), *by_container(layer), *by_object(layer)]
    kept: list[Parameter] = []
    for pair in pairs:
        if not any(is_same(pair.value.get(), other.value.get()) for other in kept):
            kept.append(pair)
    return kept


def is_same(a: Any, b: Any) -> bool:
    both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return both and (a is b or (a.shape == b.shape and np.shares_memory(a, b)))


def by_attribute(layer: Any, before: dict[str, Any]) -> Iterator[Parameter]:
    names = dict(attributes(layer))
    for name in names:
        if name not in before or not is_number(names[name]):
            continue
        is_steady = np.array_equal(before[name], names[name], equal_nan=True)
        for pattern in GRADIENT_NAMES:
            gradient = pattern.format(name)
            if gradient in names and (is_steady or name in USUAL):
                yield Parameter(name, Place(layer, name), Place(layer, gradient))
                break


def by_container(layer: Any) -> Iterator[Parameter]:
    for values, gradients in CONTAINERS:
        one, other = getattr(layer, values, None), getattr(layer, gradients, None)
        if isinstance(one, dict) and isinstance(other, dict):
            for key in one:
                names = [key, *(p.format(key) for p in GRADIENT_NAMES)]
                gradient = next((name for name in names if name in other), None)
                if gradient is not None and is_number(one[key]):
                    yield Parameter(str(key), Place(one, key), Place(other, gradient))
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for k, value in enumerate(one):
                if is_number(value):
                    yield Parameter(f"{values}[{k}]", Place(one, k), Place(other, k))


def by_object(layer: Any) -> Iterator[Parameter]:
    """Parameters that are objects of their own."""
    for name, value in attributes(layer):
        if isinstance(value, np.ndarray) or not hasattr(value, "__dict__"):
            continue
        data = next((d for d in VALUES if is_number(getattr(value, d, None))), None)
        grad = next((g for g in GRADIENTS if hasattr(value, g)), None)
        if data is not None and grad is not None:
            yield Parameter(name, Place(value, data), Place(value, grad))


def returned(layer: Any, shapes: list[tuple[int, ...]]) -> list[str]:
    """Names of the arrays whose gradients backward returns: by the usual order, and by shape."""
    names = [n for n, value in attributes(layer) if n in USUAL and isinstance(value, np.ndarray)]
    ours = [getattr(layer, n).shape for n in names]
    return names if ours == shapes else []
