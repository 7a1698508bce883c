"""What a batch's labels are for, compiled: its loss, the gradient of that, and the mistakes."""

import numpy as np

from kernels import OPS
from kernels.arrays import first_out_of_range
from kernels.jit import jit, jit_inlined
from kernels.share import meet, share
from kernels.views import floats, matrix, vector
from mlp.plan import (
    BARRIER,
    D_LOSSES,
    D_OUTPUT,
    LABELS,
    LOSSES,
    MEAN_REDUCTION,
    OUTPUT,
    REFUSES,
    SOFTMAX,
    SOFTMAX_LABELS,
    SOFTMAX_SOFT,
    WIDTH_LAST,
)

# The functions themselves, which are compiled as lines of the engine; the kernels around them,
# which check, would be compiled one by one first.
labels_forward, labels_backward = OPS["softmax_cross_entropy"].jitted
soft_forward, soft_backward = OPS["softmax_cross_entropy_soft"].jitted
mse_forward, mse_backward = OPS["mse"].jitted


@jit_inlined
def checked_labels(head, state, y, team):
    """A copy of the classes y, and whether one of them is out of range.

    One thread copies and decides: were the classes changed meanwhile, two might see different
    ones, and wait for ever where the other does not come.
    """
    labels = vector(state, head[LABELS], y.size)
    if team[0] == 0:
        for i in range(y.size):
            labels[i] = y[i]
        head[REFUSES] = first_out_of_range(labels, head[WIDTH_LAST]) >= 0
    meet(head, BARRIER, team[1])
    refuses = head[REFUSES] != 0
    if refuses:
        meet(head, BARRIER, team[1])  # nobody has still to read it when the next call begins
    return labels, refuses


@jit
def loss(head, arena, n, y, start, kind, team):
    """The sum of the samples' losses; leaves the gradient of their mean or sum at the output.

    `y` holds classes or, for the other losses, the bytes of target rows; the batch's begin
    at row `start`.
    """
    m = head[WIDTH_LAST]
    first, end = share(n, np.int64(1), team)
    count, at = end - first, first * m
    z = matrix(arena, head[OUTPUT] + at, count, m)
    dz, p = (
        matrix(arena, head[D_OUTPUT] + at, count, m),
        matrix(arena, head[SOFTMAX] + at, count, m),
    )
    losses = vector(arena, head[LOSSES] + first, count)
    dlosses = vector(arena, head[D_LOSSES] + first, count)
    weight = 1.0 / n if head[MEAN_REDUCTION] != 0 and n > 0 else 1.0
    for i in range(count):
        dlosses[i] = weight
    if kind == SOFTMAX_LABELS:
        labels = vector(y, start + first, count)
        labels_forward(z, labels, losses, p)
        labels_backward(dlosses, p, labels, dz)
    else:
        targets = matrix(floats(y, 0, arena), start * m + at, count, m)
        if kind == SOFTMAX_SOFT:
            soft_forward(z, targets, losses, p)
            soft_backward(dlosses, p, targets, dz)
        else:
            mse_forward(z, targets, losses)
            mse_backward(dlosses, z, targets, dz)
    meet(head, BARRIER, team[1])
    total = 0.0
    for i in range(n):
        total += arena[head[LOSSES] + i]
    return total


@jit
def mistakes(head, arena, n, y, start, kind):
    """How many samples of the batch have their largest output in the wrong place.

    The largest of a row with NaN is unknown, and so in no right place.
    """
    m = head[WIDTH_LAST]
    z = matrix(arena, head[OUTPUT], n, m)
    wrong = 0
    for i in range(n):
        if kind == SOFTMAX_LABELS:
            truth = y[start + i]
        else:
            truth = largest(vector(floats(y, 0, arena), (start + i) * m, m))
        wrong += truth < 0 or largest(z[i]) != truth
    return wrong


@jit_inlined
def largest(values):
    """Index of the first largest value, or -1 where one is NaN."""
    best = 0
    for j in range(values.size):
        if values[j] != values[j]:
            return -1
        if values[j] > values[best]:
            best = j
    return best
