"""The compiled loops that run any plan: forward, loss, backward, update, batch after batch.

`run` is the one entry. Its single compilation for each dtype serves every architecture,
because the architecture is in the plan, and every use, because the command is too. Nothing
here is checked; `network.py` checks before it calls.
"""

import math

import numpy as np

from kernels.address import call
from kernels.affine import affine_bias_backward
from kernels.gemm import (
    matmul_bias_floor,
    matmul_transpose_a_onto,
    matmul_transpose_b,
)
from kernels.jit import jit, jit_inlined
from kernels.share import ALONE, LINE_ENTRIES, meet, share
from kernels.tile import ADD, SET
from kernels.views import flat, floats, matrix, vector
from mlp.descent import (
    clips,
    corrections_of_next,
    count_update,
    descends,
    descent,
    update,
    update_all,
)
from mlp.losses import checked_labels, loss, mistakes
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    ARENA,
    BACKWARD,
    BACKWARD_LOOP,
    BARRIER,
    BATCHNORM,
    CHECK,
    CODE,
    COLUMNS,
    CONTINUE,
    COUNT,
    D_OUTPUT,
    DX,
    FIRST,
    FORWARD,
    FORWARD_LOOP,
    GUARD,
    HEADER,
    KEEP,
    KIND,
    LOSE,
    MISTAKES,
    N_OPS,
    N_PARAMETERS,
    PASSING,
    PASSING_SIZE,
    PRODUCT,
    READS,
    READS_NOTHING,
    READS_Y,
    REFUSED,
    RELU_FOLLOWS,
    RUNS,
    SECOND,
    SETTING,
    SOFTMAX_LABELS,
    STEPS,
    TAKES_SETTING,
    TOTAL,
    TRAINING,
    UPDATE,
    UPDATE_LOOP,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
    X,
    Y,
)


@jit
def run(state, memory, x, y, command, batch, kind, thread, threads):
    """What the command says, for each `batch` rows of x; returns the sum of all losses.

    state, memory : as `plan.py` lays them out; x (N, inputs).
    y : int64 (N,) classes, or the bytes of the target rows (N, outputs) in the dtype of x.
    command, kind : what to do, and the loss for labels of this kind.
    thread, threads : so many threads call this with the same arguments but for `thread`, which
        counts them from 0.

    Leaves the number of finished batches in STEPS and, with COUNT, that of mistakes in MISTAKES.
    TOTAL holds the bits of the sum, which is float64 whatever the dtype.
    """
    head = vector(state, 0, HEADER)
    ops = matrix(state, HEADER, head[N_OPS], COLUMNS)
    arena = floats(state, head[ARENA], memory)
    team, leads = (thread, threads), thread == 0
    if leads:
        head[RUNS] += 1
    if command & CHECK and kind == SOFTMAX_LABELS:
        y, refuses = checked_labels(head, state, y, team)
        if refuses:
            return REFUSED
    total, wrong, steps = 0.0, 0, 0
    if command & CONTINUE:
        total, wrong = np.int64(head[TOTAL]).view(np.float64), head[MISTAKES]
    width = x.shape[1]
    for start in range(0, max(x.shape[0], 1), max(batch, 1)):
        n = min(batch, x.shape[0] - start)
        rows = matrix(flat(x), start * width, n, width)
        if command & KEEP:
            rows = matrix(arena, ops[0, X], n, width)
            if command & FORWARD and leads:
                load(x, start, rows)
            meet(head, BARRIER, threads)
        if command & FORWARD:
            forward(head, ops, memory, arena, rows, command, team)
        if command & LOSE:
            value = loss(head, arena, n, y, start, kind, team)
            if command & GUARD and not math.isfinite(value):
                break
            total += value
        if command & COUNT and leads:
            wrong += mistakes(head, arena, n, y, start, kind)
        go_back(head, ops, memory, arena, rows, command, team)
        steps += 1
    if leads:
        head[STEPS], head[MISTAKES] = steps, wrong
        head[TOTAL] = np.float64(total).view(np.int64)
    meet(head, BARRIER, threads)
    return total


# ------------------------------------------------------------------------------- forward


@jit_inlined
def load(x, start, rows):
    """Copy the batch that begins at row `start` to where a later backward finds it."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = x[start + i, j]


@jit_inlined
def forward(head, ops, memory, arena, rows, command, team):
    """Run every op on a batch. Nobody looks between an affine map and its relu but with KEEP."""
    training = head[TRAINING] != 0
    x = rows
    for r in range(ops.shape[0]):
        op, floor = ops[r], -np.inf
        if is_fused(op, command):
            continue
        if r > 0 and is_fused(ops[r - 1], command):
            op, floor = ops[r - 1], 0.0
        y = matrix(arena, ops[r, Y], rows.shape[0], op[WIDTH_OUT])
        apply(head, op, memory, arena, x, y, floor, training, team)
        meet(head, BARRIER, team[1])
        x = y


@jit_inlined
def is_fused(op, command):
    """Whether the affine map `op` is done along with its relu."""
    return op[KIND] == AFFINE and op[CODE] == RELU_FOLLOWS and not command & KEEP


@jit_inlined
def apply(head, op, memory, arena, x, y, floor, training, team):
    """One op; only batchnorm in training writes to the arena, its statistics.

    An affine map's results below `floor` are raised to it.
    """
    if op[KIND] == AFFINE:
        apply_affine(head, op, memory, x, y, floor, team)
    elif op[KIND] == BATCHNORM:
        if team[0] == 0:
            call(op[FORWARD_LOOP], op, memory, arena, x, y, training)
    elif op[KIND] == ACTIVATION:
        apply_activation(op, memory, x, y, team)


@jit_inlined
def apply_affine(head, op, memory, x, y, floor, team):
    w = matrix(memory, op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
    b = vector(memory, op[SECOND], op[WIDTH_OUT])
    matmul_bias_floor(x, w, b, floor, y, team, head[PRODUCT])


@jit_inlined
def apply_activation(op, memory, x, y, team):
    first, end = share(x.size, LINE_ENTRIES, team)
    x_part, y_part = vector(flat(x), first, end - first), vector(flat(y), first, end - first)
    if op[TAKES_SETTING]:
        call(op[FORWARD_LOOP], x_part, np.float64(memory[op[SETTING]]), y_part)
    else:
        call(op[FORWARD_LOOP], x_part, y_part)


# ------------------------------------------------------------------------------ backward


@jit_inlined
def go_back(head, ops, memory, arena, rows, command, team):
    """Backward and update, as the command says.

    An op's parameters are updated while they are at hand, unless something has to wait for all
    gradients.
    """
    waits = command & BACKWARD == 0 or command & KEEP != 0 or clips(head, memory)
    corrections = (1.0, 1.0)
    if command & UPDATE:
        corrections = corrections_of_next(head, memory)
    if command & BACKWARD:
        learns = command & UPDATE != 0 and not waits
        backward(head, ops, memory, arena, rows, command, learns, corrections, team)
    if command & UPDATE:
        if waits:
            update_all(head, memory, head[UPDATE_LOOP], corrections, team)
            meet(head, BARRIER, team[1])
        if team[0] == 0:
            count_update(head, memory)


@jit_inlined
def backward(head, ops, memory, arena, rows, command, learns, corrections, team):
    """From the gradient at the output to every parameter's, and with KEEP to the input's.

    Where it learns, each op's parameters are updated as soon as their gradient is there.
    """
    keeps = command & KEEP != 0
    n = rows.shape[0]
    dy = matrix(arena, head[D_OUTPUT], n, head[WIDTH_LAST])
    for r in range(ops.shape[0] - 1, -1, -1):
        op = ops[r]
        x = matrix(arena, op[X], n, op[WIDTH_IN]) if r > 0 else rows
        place = op[DX] if keeps else head[PASSING] + (r & 1) * head[PASSING_SIZE]
        dx = matrix(arena, place, n, op[WIDTH_IN])
        if op[KIND] == AFFINE:
            needs_dx = r > 0 or keeps
            affine_op_backward(head, op, memory, dy, x, dx, needs_dx, learns, corrections, team)
        elif op[KIND] == BATCHNORM:
            if team[0] == 0:
                call(op[BACKWARD_LOOP], head, op, memory, arena, dy, x, dx)
                if learns:
                    update(head, memory, op[FIRST], 2 * op[WIDTH_OUT], 1.0, corrections, ALONE)
        elif op[KIND] == ACTIVATION:
            activation_backward(op, memory, arena, dy, x, dx, team)
        meet(head, BARRIER, team[1])
        dy = dx


@jit_inlined
def activation_backward(op, memory, arena, dy, x, dx, team):
    """dx = dy·φ'(x), by whichever of x and y the derivative is made from."""
    first, end = share(dy.size, LINE_ENTRIES, team)
    size, saved = end - first, vector(flat(x), first, end - first)
    if op[READS] == READS_Y:
        saved = vector(arena, op[Y] + first, size)
    pull_back(op, memory, vector(flat(dy), first, size), saved, vector(flat(dx), first, size))


@jit_inlined
def pull_back(op, memory, dy, saved, dx):
    """dx = dy·φ'(x), where `saved` is x or y, as READS says."""
    loop = op[BACKWARD_LOOP]
    if op[READS] == READS_NOTHING:
        call(loop, dy, dx)
    elif op[TAKES_SETTING]:
        call(loop, dy, saved, np.float64(memory[op[SETTING]]), dx)
    else:
        call(loop, dy, saved, dx)


@jit_inlined
def affine_op_backward(head, op, memory, dy, x, dx, needs_dx, learns, corrections, team):
    """dx, dw and db; where it learns by plain gradient descent, w goes a step along its gradient
    in place of dw.
    """
    gradients = head[N_PARAMETERS]  # what lies between a parameter and its gradient
    k, m = op[WIDTH_IN], op[WIDTH_OUT]
    if needs_dx:
        matmul_transpose_b(dy, matrix(memory, op[FIRST], k, m), dx, team, head[PRODUCT])
    affine_bias_backward(dy, vector(memory, gradients + op[SECOND], m), team)
    place, mode, keep, scale = gradients + op[FIRST], SET, 1.0, 1.0
    first, count = op[FIRST], (k + 1) * m  # of what is still to be updated
    if learns and descends(head, memory):
        place, mode, (keep, scale) = op[FIRST], ADD, descent(head, memory)
        first, count = op[SECOND], m
        meet(head, BARRIER, team[1])  # nobody reads w any more
    target = matrix(memory, place, k, m)
    matmul_transpose_a_onto(x, dy, mode, keep, scale, target, team, head[PRODUCT])
    if learns:
        meet(head, BARRIER, team[1])
        update(head, memory, first, count, 1.0, corrections, team)
