"""What check_network is given, before anything runs, and the output once it has run."""

from typing import Any

import numpy as np

from gradcheck.course import METHODS, parameters
from gradcheck.network.losses import kind_of

Array = np.ndarray

WHERE = "check_network"

LAYERS = "a list of layers with W, b, dW and db"


def require_network(net: Any) -> None:
    """A TypeError for what has not the course's interface."""
    kind = type(net).__name__
    for method in METHODS:
        if not callable(getattr(net, method, None)):
            raise TypeError(f"{WHERE}: net is of type {kind}, which has no method {method!r}")
    layers = getattr(net, "linear_layers", None)
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"{WHERE}: net.linear_layers is {layers!r}, expected {LAYERS}")
    normalising = getattr(net, "bn_layers", ())
    if not isinstance(normalising, (list, tuple)):
        raise TypeError(f"{WHERE}: net.bn_layers is {normalising!r}, expected a list of layers")
    for name, layer, attribute in parameters(net):
        require_parameter(name, getattr(layer, attribute, None))


def require_parameter(name: str, value: Any) -> None:
    """Gradients are measured by changing the parameter in place."""
    if not isinstance(value, np.ndarray):
        given = type(value).__name__
        raise TypeError(f"{WHERE}: net.{name} is of type {given}, expected an array")
    if value.dtype.kind not in "fiu":
        raise TypeError(f"{WHERE}: net.{name} has dtype {value.dtype}, expected real numbers")
    if not value.flags.writeable:
        raise ValueError(f"{WHERE}: net.{name} is read-only, and cannot be varied")


def require_reduction(reduction: Any) -> None:
    if reduction not in (None, "mean", "sum"):
        raise ValueError(f"{WHERE}: reduction is {reduction!r}, expected 'mean', 'sum' or None")


def batch(x: Any, labels: Any) -> tuple[Array, Array]:
    """Copies of the inputs and the targets, as many of the one as of the other."""
    found = real("x", x), real("labels", labels)
    for name, array in zip(("x", "labels"), found, strict=True):
        if not array.ndim:
            raise ValueError(f"{WHERE}: {name} is one number, expected a batch of rows")
    given, targets = found
    if not len(given):
        raise ValueError(f"{WHERE}: x has no rows")
    if len(given) != len(targets):
        raise ValueError(f"{WHERE}: x has {len(given)} rows, labels has {len(targets)}")
    return found


def real(name: str, value: Any) -> Array:
    try:
        array = np.array(value)
    except ValueError:  # rows of unequal length
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        given = repr(value)[:60] if array.dtype.kind == "O" else f"of dtype {array.dtype}"
        raise TypeError(f"{WHERE}: {name} is {given}, expected an array of real numbers")
    return array


def require_targets(criterion: Any, labels: Array, shape: tuple[int, ...]) -> None:
    """A ValueError for labels that are no targets of outputs of this shape."""
    kind = kind_of(criterion)
    if labels.shape == shape or kind == "own":
        return
    if kind == "mse":
        if labels.size != np.prod(shape):
            raise ValueError(f"{WHERE}: labels have shape {labels.shape}, the output {shape}")
        return
    if labels.size != shape[0]:
        expected = f"({shape[0]},) classes or rows {shape}"
        raise ValueError(f"{WHERE}: labels have shape {labels.shape}, expected {expected}")
    wrong = (labels < 0) | (labels >= shape[1]) | (labels != np.floor(labels))
    if wrong.any():
        value = labels[wrong].flat[0]
        raise ValueError(f"{WHERE}: labels contain {value}, expected classes 0 to {shape[1] - 1}")


def output_of(value: Any, count: int) -> Array:
    """What forward gave, as one row of numbers for each sample; a TypeError for anything else."""
    array = np.array(value)
    if array.dtype.kind not in "fiu":
        given = repr(value)[:60] if array.dtype.kind == "O" else f"an array of {array.dtype}"
        raise TypeError(f"forward gives {given}, expected rows of real numbers")
    if array.ndim != 2 or len(array) != count:
        raise TypeError(f"forward gives shape {array.shape}, expected ({count}, outputs)")
    return array
