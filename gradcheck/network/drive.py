"""Running somebody's network: its gradients, its parameters, and putting all back."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.budget import check_time
from gradcheck.course import parameters
from gradcheck.network.arguments import output_of
from gradcheck.network.losses import Loss
from gradcheck.subject import FAULTS, Raised

Array = np.ndarray

KEPT = ("running_mean", "running_var", "momentum_W", "momentum_b")
"""What a layer remembers from batch to batch, and is put back after a check."""

BUFFERS = ("momentum_{}", "v_{}", "velocity_{}", "m_{}")
"""Names that optimisers keep their averages of W under."""


def called(net: Any, method: str, *given: Array) -> Any:
    """What a method of the network returns; `Raised` for whatever it raises."""
    check_time()
    try:
        return getattr(net, method)(*given)
    except FAULTS as error:
        raise Raised(method, error) from error


def output_at(net: Any, x: Array) -> Array:
    """The network's output for the batch; `Raised`, too, where that is none."""
    value = called(net, "forward", x.copy())
    try:
        return output_of(value, len(x))
    except FAULTS as error:
        raise Raised("forward", error) from error


def gradients_of(net: Any, x: Array, labels: Array) -> dict[str, Array]:
    """Every gradient of one forward and backward, by the name of its array."""
    called(net, "zero_grads")
    called(net, "forward", x.copy())
    returned = called(net, "backward", labels.copy())
    found = {}
    for name, layer, attribute in parameters(net):
        try:
            gradient = np.array(gradient_in(net, name, layer, attribute))
        except FAULTS as error:
            raise Raised("backward", error) from error
        shape = getattr(layer, attribute).shape
        is_row = gradient.shape == shape[1:] and shape[0] == 1  # db (out,) for b (1, out)
        found[name] = gradient.reshape(shape) if is_row else gradient
    if isinstance(returned, np.ndarray):
        found["input"] = returned.copy()
    return found


def gradient_in(net: Any, name: str, layer: Any, attribute: str) -> Any:
    """In the layer; of a network that computes all by itself, perhaps in lists of its own."""
    if getattr(layer, "d" + attribute, None) is not None:
        return getattr(layer, "d" + attribute)
    own = getattr(net, "d" + attribute, None)
    if isinstance(own, (list, tuple)):
        return own[int(name.partition("[")[2].partition("]")[0])]
    return getattr(layer, "d" + attribute)


@contextmanager
def preserved(net: Any) -> Iterator[None]:
    """Puts parameters and running statistics back, whatever happens within.

    Integer parameters, which perturbations would be truncated in, are floating for as long.
    """
    layers = [(layer, attribute) for _, layer, attribute in parameters(net)]
    owners = [*getattr(net, "linear_layers", ()), *getattr(net, "bn_layers", ())]
    layers += [
        (layer, name)
        for layer in owners
        for name in KEPT
        if isinstance(getattr(layer, name, None), np.ndarray)
    ]
    kept = [(layer, name, getattr(layer, name)) for layer, name in layers]
    values = [np.array(array) for _, _, array in kept]
    for layer, name, array in kept:
        if array.dtype.kind != "f":
            setattr(layer, name, array.astype(np.float64))
    try:
        yield
    finally:
        for (layer, name, array), value in zip(kept, values, strict=True):
            array[...] = value
            if getattr(layer, name) is not array:
                setattr(layer, name, array)


class Places:
    """The losses of a batch as functions of one array at a time."""

    def __init__(self, net: Any, x: Array, loss: Loss):
        self.net, self.x, self.loss = net, x, loss
        self.layers = {name: (layer, a) for name, layer, a in parameters(net)}
        self.output = output_at(net, x)
        self.calls = 1
        self.epsilon = float(np.finfo(float_of(self.output)).eps)

    def losses(self, x: Array) -> Array:
        self.calls += 1
        return self.loss.values(output_at(self.net, x))

    def varied(self, name: str) -> tuple[Callable[[Array], Array], Array]:
        """The losses as a function of the array of that name, and its present value."""
        if name == "input":
            return lambda v: self.losses(v.astype(self.x.dtype)), self.x
        layer, attribute = self.layers[name]
        before = np.array(getattr(layer, attribute))

        def at(value: Array) -> Array:
            array = getattr(layer, attribute)
            array[...] = value
            try:
                return self.losses(self.x.copy())
            finally:
                array[...] = before

        return at, before.astype(np.float64)


def float_of(array: Array) -> np.dtype:
    return array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)


def parameter_values(net: Any) -> dict[str, Array]:
    """Copies of all parameters, in float64."""
    return {
        name: np.array(getattr(layer, attribute), np.float64)
        for name, layer, attribute in parameters(net)
    }


def buffers_of(net: Any) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    for name, layer, attribute in parameters(net):
        for pattern in BUFFERS:
            value = getattr(layer, pattern.format(attribute), None)
            if isinstance(value, np.ndarray):
                found.setdefault(name, {})[pattern.format(attribute)] = np.array(value, np.float64)
    return found


def promoted(net: Any, x: Array, output: Array) -> Any:
    """A copy that computes in float64, to take sharper differences of; None if there is none."""
    try:
        twin = copy.deepcopy(net)
        for _, layer, attribute in parameters(twin):
            setattr(layer, attribute, np.array(getattr(layer, attribute), np.float64))
        wide = np.asarray(twin.forward(x.astype(np.float64)))
    except FAULTS:  # whatever a network of one precision does in another
        return None
    is_same = wide.shape == output.shape and np.allclose(wide, output, rtol=1e-3, atol=1e-4)
    return twin if wide.dtype == np.float64 and is_same else None
