"""Which value was the first not to be finite: by layer, pass and range of its operands."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kernels.activation import ACTIVATIONS
from kernels.op import OPS
from mlp.layers import Array
from mlp.plan import AFFINE, BATCHNORM, DX, DY, WIDTH_IN, WIDTH_OUT, X, Y

if TYPE_CHECKING:
    from mlp.network import MLP

Finding = tuple[str, dict[str, Array], dict[str, Array]]
"""A pass and its op, what it computed, and of what: arrays by name."""


class NonFiniteLoss(FloatingPointError):  # noqa: N818, the loss is
    """Training met NaN or infinity; the message names the first such value."""


def describe(net: "MLP", x: Array, y: Array, rows: Array) -> str:
    """Where the step on this batch first leaves the finite numbers.

    `rows` are the batch's row numbers in the data set, for whoever looks for one there.
    """
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        return f"x[{rows[row]}, {column}] of the data set is {x[row, column]}"
    twin = copy.copy(net)  # which may run without a trace
    for title, computed, operands in passes(twin, x, y):
        for name, values in computed.items():
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                place = ", ".join(map(str, bad[0]))
                value = values[tuple(bad[0])]
                ranges = ", ".join(f"{n} in {span(a)}" for n, a in operands.items())
                return f"{title}: {name}[{place}] is {value}, with {ranges}"
    return "the sum of the batch's losses is not finite"


def span(values: Array) -> str:
    """The interval that the values lie in."""
    if values.size == 0:
        return "[]"
    with np.errstate(invalid="ignore"):
        return f"[{values.min():g}, {values.max():g}]"


def passes(net: "MLP", x: Array, y: Array) -> Iterator[Finding]:
    """Everything that a step computes, in its order."""

    def batch(op: int, column: int, width: int) -> Array:
        return net._there(net._reader(op, column, width), "fit")

    z = net.forward(x)
    layers = list(layers_of_ops(net))
    for i, (title, parameters, _) in enumerate(layers):
        inputs = {"x": batch(i, X, WIDTH_IN)} | parameters
        yield f"forward of {title}", {"y": batch(i, Y, WIDTH_OUT)}, inputs
    losses = OPS[net.criterion.name].value(z, y)[0]
    targets = {} if y.dtype.kind == "i" else {"targets": y}
    yield f"loss {net.criterion.name}", {"losses": losses}, {"outputs": z} | targets
    net.backward(y)
    last = len(layers) - 1
    dz = batch(last, DY, WIDTH_OUT)
    yield f"backward of loss {net.criterion.name}", {"dy": dz}, {"outputs": z}
    for i in range(last, -1, -1):
        title, parameters, gradients = layers[i]
        inputs = {"dy": batch(i, DY, WIDTH_OUT), "x": batch(i, X, WIDTH_IN)}
        computed = gradients | {"dx": batch(i, DX, WIDTH_IN)}
        yield f"backward of {title}", computed, inputs | parameters
    net.step()
    for title, parameters, gradients in layers:
        yield f"update of {title}", parameters, gradients


def layers_of_ops(net: "MLP") -> Iterator[tuple[str, dict[str, Array], dict[str, Array]]]:
    """For each op its title, its parameters and their gradients, as views."""
    layers = {AFFINE: iter(net.linear_layers), BATCHNORM: iter(net.bn_layers)}
    names = {AFFINE: ("affine", "W", "b"), BATCHNORM: ("batchnorm", "gamma", "beta")}
    number = 0
    for spec in net._plan.specs:
        if spec.kind not in layers:
            yield f"layer {number}, {ACTIVATIONS[spec.code].name}", {}, {}
            continue
        number += spec.kind == AFFINE
        (name, *parameters), views = names[spec.kind], next(layers[spec.kind]).arrays
        yield (
            f"layer {number}, {name}",
            {p: views[p] for p in parameters},
            {"d" + p: views["d" + p] for p in parameters},
        )
