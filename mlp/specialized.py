"""A training step compiled for one architecture and one number of rows, for very small networks.

The engine reads widths and places from the plan as it goes: one compilation serves every network,
and looking things up takes a network of a few units longer than its arithmetic. Here the same
functions get the rows of the plan as constants, so that loops of three turns become straight
lines. Each op is a function that goes forward, lets the ops after it do their part, and comes back.
"""

import hashlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from kernels.activation import ACTIVATIONS
from kernels.address import call
from kernels.jit import jit_unrolled
from kernels.share import ALONE
from kernels.views import flat, matrix, vector
from mlp.engine import affine_op_backward, apply_affine
from mlp.layers import Array
from mlp.link import LOSSES as LOSS_OPS
from mlp.link import what_backward_reads
from mlp.plan import (
    AFFINE,
    BACKWARD_LOOP,
    BATCHNORM,
    CAPACITY,
    CODE,
    D_LOSSES,
    DY,
    FORWARD_LOOP,
    HAS_BATCHNORM,
    KIND,
    LOSSES,
    MEAN_REDUCTION,
    READS_NOTHING,
    READS_X,
    RELU_FOLLOWS,
    SETTING,
    SOFTMAX,
    SQUARES,
    WIDTH_LAST,
    WIDTH_OUT,
    Y,
    rows_of,
)

Constants = tuple[int, ...]
Table = tuple[Constants, ...]

Passage = Callable[..., Any]
"""passage(head, ops, memory, arena, x, y, dx): the losses of the batch that an op takes as x, for
labels y; leaves the gradient of x in dx, and those of the parameters in memory."""

unrolled = partial(jit_unrolled, is_cached=False)


@jit_unrolled
def affine_forward(head, op, memory, x, y, floor):
    apply_affine(head, op, memory, x, y, floor, ALONE)


@jit_unrolled
def affine_backward(head, op, memory, dy, x, dx, needs_dx):
    affine_op_backward(head, op, memory, dy, x, dx, needs_dx, False, (1.0, 1.0), ALONE)


def constants(state: Array) -> tuple[Constants, Table]:
    """Of the header and of each op's row what the plan has fixed: all before the addresses."""
    head = tuple(map(int, state[: HAS_BATCHNORM + 1]))
    return head, tuple(tuple(map(int, row[:FORWARD_LOOP])) for row in rows_of(state))


def architecture_number(state: Array, dtype: np.dtype) -> int:
    """A number that no state of another architecture, number of rows or dtype has."""
    text = repr((constants(state), dtype.name)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "little")


@cache
def through_all(head: Constants, ops: Table, kind: int) -> Passage:
    passage = past_loss(head, kind)
    for r in reversed(range(len(ops))):
        if ops[r][KIND] == AFFINE:
            passage = past_affine(ops, r, head[CAPACITY], passage)
        elif ops[r][KIND] == BATCHNORM:
            passage = past_batchnorm(ops, r, head[CAPACITY], passage)
        else:
            is_done = r > 0 and ops[r - 1][KIND] == AFFINE and ops[r - 1][CODE] == RELU_FOLLOWS
            passage = past_activation(ops, r, head[CAPACITY], is_done, passage)
    return passage


def past_affine(ops: Table, r: int, n: int, onward: Passage) -> Passage:
    """Through an affine map, and through the relu that follows it at once."""
    op, m = ops[r], ops[r][WIDTH_OUT]
    has_relu, needs_dx = op[CODE] == RELU_FOLLOWS, r > 0
    y_at, dy_at, floor = ops[r + has_relu][Y], op[DY], 0.0 if has_relu else -np.inf

    @unrolled
    def passage(head, ops, memory, arena, x, y, dx):
        z, dz = matrix(arena, y_at, n, m), matrix(arena, dy_at, n, m)
        affine_forward(head, op, memory, x, z, floor)
        total = onward(head, ops, memory, arena, z, y, dz)
        affine_backward(head, op, memory, dz, x, dx, needs_dx)
        return total

    return passage


def past_activation(ops: Table, r: int, n: int, is_done: bool, onward: Passage) -> Passage:
    """Through an activation; where it `is_done` along with what came before, x is its y."""
    m, y_at, dy_at, setting_at = (ops[r][column] for column in (WIDTH_OUT, Y, DY, SETTING))
    op = ACTIVATIONS[ops[r][CODE]]
    activate, differentiate = op.forward.jitted, op.backward.jitted
    is_plain, reads = not op.hyper, what_backward_reads(op)
    reads_x, reads_nothing = reads == READS_X, reads == READS_NOTHING

    @unrolled
    def passage(head, ops, memory, arena, x, y, dx):
        z, dz = matrix(arena, y_at, n, m), matrix(arena, dy_at, n, m)
        if is_done:
            z = x
        elif is_plain:
            activate(flat(x), flat(z))
        else:
            activate(flat(x), np.float64(memory[setting_at]), flat(z))
        total = onward(head, ops, memory, arena, z, y, dz)
        saved = flat(x) if reads_x else flat(z)
        if reads_nothing:
            differentiate(flat(dz), flat(dx))
        elif is_plain:
            differentiate(flat(dz), saved, flat(dx))
        else:
            differentiate(flat(dz), saved, np.float64(memory[setting_at]), flat(dx))
        return total

    return passage


def past_batchnorm(ops: Table, r: int, n: int, onward: Passage) -> Passage:
    """Through batchnorm, with the batch's statistics."""
    m, y_at, dy_at = ops[r][WIDTH_OUT], ops[r][Y], ops[r][DY]

    @unrolled
    def passage(head, ops, memory, arena, x, y, dx):
        op, z, dz = ops[r], matrix(arena, y_at, n, m), matrix(arena, dy_at, n, m)
        call(op[FORWARD_LOOP], op, memory, arena, x, z, True)
        total = onward(head, ops, memory, arena, z, y, dz)
        call(op[BACKWARD_LOOP], head, op, memory, arena, dz, x, dx)
        return total

    return passage


def past_loss(head: Constants, kind: int) -> Passage:
    """From the output, x, to its gradient."""
    n, m, losses_at, dlosses_at = head[CAPACITY], head[WIDTH_LAST], head[LOSSES], head[D_LOSSES]
    p_at, weight = head[SOFTMAX], 1.0 / n if head[MEAN_REDUCTION] else 1.0
    op = LOSS_OPS[kind]
    loss_forward, loss_backward = op.forward.jitted, op.backward.jitted
    has_softmax = kind != SQUARES

    @unrolled
    def passage(head, ops, memory, arena, x, y, dx):
        losses, dlosses = vector(arena, losses_at, n), vector(arena, dlosses_at, n)
        for i in range(n):
            dlosses[i] = weight
        if has_softmax:
            p = matrix(arena, p_at, n, m)
            loss_forward(x, y, losses, p)
            loss_backward(dlosses, p, y, dx)
        else:
            loss_forward(x, y, losses)
            loss_backward(dlosses, x, y, dx)
        total = 0.0
        for i in range(n):
            total += losses[i]
        return total

    return passage
