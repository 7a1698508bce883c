"""predict, predict_proba, evaluate: a data set of any size, in batches that fit the cache.

They use running statistics whatever the mode, and scratch memory of their own: mode, last
forward and a pending backward stay as they are, and any number of threads may ask at once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import kernels
from mlp.batches import NO_LABELS, as_words
from mlp.layers import Array
from mlp.plan import (
    COUNT,
    FORWARD,
    LOSE,
    MISTAKES,
    OUTPUT,
    SOFTMAX_LABELS,
    SQUARES,
    TRAINING,
    arena_of,
)

if TYPE_CHECKING:
    from mlp.network import MLP

ARENA_BYTES = 2**20
"""Of the outputs of all layers for one batch."""


def predict(net: "MLP", x: Any) -> Array:
    """The class (N,) of the largest output of each row; with mse the outputs (N, output_size).

    A row whose output has a NaN has no largest: its class is -1.
    """
    rows = checked_rows(net, "predict", x)
    if net.criterion.name == "mse":
        return outputs(net, rows)
    classes = np.empty(len(rows), np.int64)
    for start, z in batches(net, rows):
        found = z.argmax(axis=1)
        found[np.isnan(z).any(axis=1)] = -1
        classes[start : start + len(z)] = found
    return classes


def predict_proba(net: "MLP", x: Any) -> Array:
    """softmax of the outputs (N, output_size): the probability of each class."""
    if net.criterion.name == "mse":
        raise ValueError(
            "MLP.predict_proba: criterion is mse, expected softmax_cross_entropy, whose outputs "
            "are logits"
        )
    z = outputs(net, checked_rows(net, "predict_proba", x))
    p: Array = kernels.softmax_cross_entropy_forward(z, np.zeros(len(z), np.int64))[1]
    return p


def evaluate(net: "MLP", x: Any, y: Any) -> tuple[float, float | None]:
    """The mean of the samples' losses and the fraction of mistakes, which with mse is None."""
    return mean_loss_and_error(net, *checked_set(net, "evaluate", x, y, train_mode=False))


def mean_loss_and_error(net: "MLP", x: Array, y: Array, kind: int) -> tuple[float, float | None]:
    """`evaluate` of what is checked."""
    total, mistakes = 0.0, 0
    state, size = scratch(net, len(x))
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        rows, words = x[part], as_words(y[part], kind)
        total += net._compute(state, rows, words, FORWARD | LOSE | COUNT, len(rows), kind)
        mistakes += int(state[MISTAKES])
    return total / len(x), None if kind == SQUARES else mistakes / len(x)


def outputs(net: "MLP", x: Array) -> Array:
    """The outputs (N, output_size) with running statistics."""
    z = np.empty((len(x), net._widths[-1]), net.dtype)
    for start, part in batches(net, x):
        z[start : start + len(part)] = part
    return z


def batches(net: "MLP", x: Array) -> Iterator[tuple[int, Array]]:
    """Batch by batch, its first row and its outputs, which the next batch overwrites."""
    state, size = scratch(net, len(x))
    arena, place, width = arena_of(state, net.dtype), state[OUTPUT], net._widths[-1]
    for start in range(0, len(x), size):
        part = x[start : start + size]
        net._compute(state, part, NO_LABELS, FORWARD, len(part), SOFTMAX_LABELS)
        yield start, arena[place : place + len(part) * width].reshape(len(part), width)


def scratch(net: "MLP", rows: int) -> tuple[Array, int]:
    """A state of its own in evaluation mode, and how many rows it takes at once."""
    row_bytes = sum(spec.width_out for spec in net._plan.specs) * net.dtype.itemsize
    size = max(1, min(rows, ARENA_BYTES // row_bytes))
    state = net._linked_state(size)
    state[TRAINING] = False
    return state, size


# --------------------------------------------------------------------------- the boundary


def checked_rows(net: "MLP", method: str, x: Any) -> Array:
    return net._boundary.batch(f"MLP.{method}: x", x, needs_variance=False)


def checked_set(
    net: "MLP", method: str, x: Any, y: Any, *, train_mode: bool, prefix: str = ""
) -> tuple[Array, Array, int]:
    """A data set of at least one row, and which loss its labels are for."""
    where = f"MLP.{method}: {prefix}"
    x = net._boundary.batch(f"{where}x", x, needs_variance=net.bn and train_mode)
    if len(x) == 0:
        raise ValueError(f"{where}x has shape {x.shape}, expected at least 1 row")
    y, kind = net._boundary.labels(f"{where}y", y, len(x))
    return x, y, kind
