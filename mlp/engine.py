"""The compiled loops that run any plan: forward, loss, backward, update, batch after batch.

`run` is the one entry. Its single compilation for each dtype serves every architecture,
because the architecture is in the plan, and every use, because the command is too. Nothing
here is checked; `network.py` checks before it calls.
"""

import math

import numpy as np

from kernels import (
    affine_forward,
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference_backward,
    batchnorm_inference_forward,
    mse_backward,
    mse_forward,
    running_average_update,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
    softmax_cross_entropy_soft_backward,
    softmax_cross_entropy_soft_forward,
)
from kernels.activation import activation_backward, activation_forward
from kernels.affine import affine_input_backward, affine_parameters_backward
from kernels.arrays import first_out_of_range
from kernels.jit import jit, jit_inlined
from kernels.views import flat, floats, matrix, vector
from mlp.descent import begin_update, clips, update, update_all
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    ARENA,
    BACKWARD,
    BATCH,
    BATCHNORM,
    CHECK,
    CODE,
    COLUMNS,
    COMMAND,
    CONTINUE,
    COUNT,
    D_LOSSES,
    D_OUTPUT,
    DX,
    FIRST,
    FORWARD,
    GUARD,
    HEADER,
    KEEP,
    KIND,
    LOSE,
    LOSS,
    LOSSES,
    MEAN,
    MEAN_REDUCTION,
    MISTAKES,
    N_OPS,
    N_PARAMETERS,
    OUTPUT,
    PASSING,
    PASSING_SIZE,
    REFUSED,
    RSTD,
    RUNNING_MEAN,
    RUNNING_VAR,
    SECOND,
    SETTING,
    SOFTMAX,
    SOFTMAX_LABELS,
    SOFTMAX_SOFT,
    STEPS,
    TOTAL,
    TRAINING,
    UPDATE,
    VAR,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
    X,
    Y,
)

affine = affine_forward.jitted
"""The function itself can be inlined, which the checked kernel around it cannot."""


@jit
def run(state, memory, x, y, command, batch, kind):
    """What the command says, for each `batch` rows of x; returns the sum of all losses.

    state, memory : as `plan.py` lays them out; x (N, inputs).
    y : int64 (N,) classes, or the bytes of the target rows (N, outputs) in the dtype of x.
    command, kind : what to do, and the loss for labels of this kind.

    Leaves the number of finished batches in STEPS and, with COUNT, that of mistakes in MISTAKES.
    TOTAL holds the bits of the sum, which is float64 whatever the dtype.
    """
    head = vector(state, 0, HEADER)
    ops = matrix(state, HEADER, head[N_OPS], COLUMNS)
    arena = floats(state, head[ARENA], memory)
    checks = command & CHECK != 0 and kind == SOFTMAX_LABELS
    if checks and first_out_of_range(y, head[WIDTH_LAST]) >= 0:
        return REFUSED
    head[COMMAND], head[BATCH], head[LOSS] = command, batch, kind
    width = x.shape[1]
    head[STEPS] = 0
    if not command & CONTINUE:
        head[TOTAL] = head[MISTAKES] = 0  # of 0.0 all bits are 0
    total = np.int64(head[TOTAL]).view(np.float64)
    for start in range(0, max(x.shape[0], 1), max(head[BATCH], 1)):
        n = min(head[BATCH], x.shape[0] - start)
        rows = matrix(flat(x), start * width, n, width)
        if command & KEEP:
            rows = matrix(arena, ops[0, X], n, width)
            if command & FORWARD:
                load(x, start, rows)
        if command & FORWARD:
            forward(head, ops, memory, arena, rows)
        if command & LOSE:
            value = loss(head, arena, n, y, start)
            if command & GUARD and not math.isfinite(value):
                break
            total += value
        if command & COUNT:
            head[MISTAKES] += mistakes(head, arena, n, y, start)
        # An op's parameters are updated while they are at hand, unless something has to wait
        # for all gradients.
        waits = command & BACKWARD == 0 or command & KEEP != 0 or clips(head, memory)
        corrections = (1.0, 1.0)
        if command & UPDATE:
            corrections = begin_update(head, memory)
        if command & BACKWARD:
            learns = command & UPDATE != 0 and not waits
            backward(head, ops, memory, arena, rows, learns, corrections)
        if command & UPDATE and waits:
            update_all(head, memory, corrections)
        head[STEPS] += 1
    head[TOTAL] = np.float64(total).view(np.int64)
    return total


# ------------------------------------------------------------------------------- forward


@jit_inlined
def load(x, start, rows):
    """Copy the batch that begins at row `start` to where a later backward finds it."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = x[start + i, j]


@jit_inlined
def forward(head, ops, memory, arena, rows):
    """Run every op on a batch."""
    training = head[TRAINING] != 0
    x = rows
    for r in range(ops.shape[0]):
        op = ops[r]
        y = matrix(arena, op[Y], rows.shape[0], op[WIDTH_OUT])
        apply(op, memory, arena, x, y, training)
        x = y


@jit_inlined
def apply(op, memory, arena, x, y, training):
    """One op; only batchnorm in training writes to the arena, its statistics."""
    if op[KIND] == AFFINE:
        w = matrix(memory, op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
        affine(x, w, vector(memory, op[SECOND], op[WIDTH_OUT]), y)
    elif op[KIND] == BATCHNORM:
        batchnorm_op_forward(op, memory, arena, x, y, training)
    elif op[KIND] == ACTIVATION:
        activation_forward(op[CODE], memory[op[SETTING]], flat(x), flat(y))


@jit_inlined
def batchnorm_op_forward(op, memory, arena, x, y, training):
    m = op[WIDTH_OUT]
    gamma, beta = vector(memory, op[FIRST], m), vector(memory, op[SECOND], m)
    running_mean = vector(memory, op[RUNNING_MEAN], m)
    running_var = vector(memory, op[RUNNING_VAR], m)
    eps, alpha = memory[op[SETTING]], memory[op[SETTING] + 1]
    if training:
        mean, var = vector(arena, op[MEAN], m), vector(arena, op[VAR], m)
        rstd = vector(arena, op[RSTD], m)
        batchnorm_forward(x, gamma, beta, eps, y, mean, var, rstd)
        if x.shape[0] > 0:
            running_average_update(running_mean, mean, alpha, running_mean)
            running_average_update(running_var, var, alpha, running_var)
    else:
        batchnorm_inference_forward(x, gamma, beta, running_mean, running_var, eps, y)


# ---------------------------------------------------------------------------------- loss


@jit_inlined
def loss(head, arena, n, y, start):
    """The sum of the samples' losses; leaves the gradient of their mean or sum at the output.

    `y` holds classes or, for the other losses, the bytes of target rows; the batch's begin
    at row `start`.
    """
    m = head[WIDTH_LAST]
    z, dz = matrix(arena, head[OUTPUT], n, m), matrix(arena, head[D_OUTPUT], n, m)
    p = matrix(arena, head[SOFTMAX], n, m)
    losses, dlosses = vector(arena, head[LOSSES], n), vector(arena, head[D_LOSSES], n)
    weight = 1.0 / n if head[MEAN_REDUCTION] != 0 and n > 0 else 1.0
    for i in range(n):
        dlosses[i] = weight
    if head[LOSS] == SOFTMAX_LABELS:
        labels = vector(y, start, n)
        softmax_cross_entropy_forward(z, labels, losses, p)
        softmax_cross_entropy_backward(dlosses, p, labels, dz)
    else:
        targets = matrix(floats(y, 0, arena), start * m, n, m)
        if head[LOSS] == SOFTMAX_SOFT:
            softmax_cross_entropy_soft_forward(z, targets, losses, p)
            softmax_cross_entropy_soft_backward(dlosses, p, targets, dz)
        else:
            mse_forward(z, targets, losses)
            mse_backward(dlosses, z, targets, dz)
    total = 0.0
    for i in range(n):
        total += losses[i]
    return total


@jit_inlined
def mistakes(head, arena, n, y, start):
    """How many samples of the batch have their largest output in the wrong place.

    The largest of a row with NaN is unknown, and so in no right place.
    """
    m = head[WIDTH_LAST]
    z = matrix(arena, head[OUTPUT], n, m)
    wrong = 0
    for i in range(n):
        if head[LOSS] == SOFTMAX_LABELS:
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


# ------------------------------------------------------------------------------ backward


@jit_inlined
def backward(head, ops, memory, arena, rows, learns, corrections):
    """From the gradient at the output to every parameter's, and with KEEP to the input's.

    Where it learns, each op's parameters are updated as soon as their gradient is there.
    """
    training = head[TRAINING] != 0
    keeps = head[COMMAND] & KEEP != 0
    gradients = head[N_PARAMETERS]  # what lies between a parameter and its gradient
    n = rows.shape[0]
    dy = matrix(arena, head[D_OUTPUT], n, head[WIDTH_LAST])
    for r in range(ops.shape[0] - 1, -1, -1):
        op = ops[r]
        x = matrix(arena, op[X], n, op[WIDTH_IN]) if r > 0 else rows
        place = op[DX] if keeps else head[PASSING] + (r & 1) * head[PASSING_SIZE]
        dx = matrix(arena, place, n, op[WIDTH_IN])
        if op[KIND] == AFFINE:
            w = matrix(memory, op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
            dw = matrix(memory, gradients + op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
            db = vector(memory, gradients + op[SECOND], op[WIDTH_OUT])
            affine_parameters_backward(dy, x, dw, db)
            if r > 0 or keeps:
                affine_input_backward(dy, w, dx)
        elif op[KIND] == BATCHNORM:
            batchnorm_op_backward(op, memory, arena, dy, x, dx, gradients, training)
        elif op[KIND] == ACTIVATION:
            y = vector(arena, op[Y], n * op[WIDTH_OUT])
            activation_backward(op[CODE], memory[op[SETTING]], flat(dy), flat(x), y, flat(dx))
        if learns and op[KIND] != ACTIVATION:
            count = (op[WIDTH_IN] + 1 if op[KIND] == AFFINE else 2) * op[WIDTH_OUT]
            update(head, memory, op[FIRST], count, 1.0, corrections)
        dy = dx


@jit_inlined
def batchnorm_op_backward(op, memory, arena, dy, x, dx, gradients, training):
    m = op[WIDTH_OUT]
    gamma = vector(memory, op[FIRST], m)
    dgamma = vector(memory, gradients + op[FIRST], m)
    dbeta = vector(memory, gradients + op[SECOND], m)
    if training:
        mean, rstd = vector(arena, op[MEAN], m), vector(arena, op[RSTD], m)
        batchnorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta)
    else:
        mean, var = vector(memory, op[RUNNING_MEAN], m), vector(memory, op[RUNNING_VAR], m)
        eps = memory[op[SETTING]]
        batchnorm_inference_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta)
