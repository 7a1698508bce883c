"""The compiled loops that run any plan: forward, loss, backward, update, and all of a step.

One compilation for each dtype serves every architecture, because the architecture is in the
plan. Nothing here is checked; `network.py` checks before it calls.
"""

from kernels import (
    affine_backward,
    affine_forward,
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference_backward,
    batchnorm_inference_forward,
    gradient_descent_update,
    momentum_update,
    mse_backward,
    mse_forward,
    running_average_update,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
    softmax_cross_entropy_soft_backward,
    softmax_cross_entropy_soft_forward,
)
from kernels.activation import activation_backward, activation_forward
from kernels.jit import jit
from kernels.views import matrix, vector
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    BATCHNORM,
    CODE,
    D_LOSSES,
    D_OUTPUT,
    DX,
    DY,
    FIRST,
    KIND,
    LEARNING_RATE,
    LOSSES,
    MEAN,
    MEAN_REDUCTION,
    MOMENTUM,
    N_LINEAR,
    N_PARAMETERS,
    OUTPUT,
    RSTD,
    RUNNING_MEAN,
    RUNNING_VAR,
    SECOND,
    SETTING,
    SETTINGS,
    SOFTMAX,
    SOFTMAX_LABELS,
    SOFTMAX_SOFT,
    TRAINING,
    VAR,
    VELOCITY,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
    X,
    Y,
)

# ------------------------------------------------------------------------------- forward


@jit
def load(plan, arena, x):
    """Copy the batch to where the first op reads it."""
    start = plan[1, X]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            arena[start + i * x.shape[1] + j] = x[i, j]


@jit
def forward(plan, memory, arena, n):
    """Run every op on the batch of `n` rows that `load` put in the arena."""
    training = plan[0, TRAINING] != 0
    for r in range(1, plan.shape[0]):
        op = plan[r]
        x, y = matrix(arena, op[X], n, op[WIDTH_IN]), matrix(arena, op[Y], n, op[WIDTH_OUT])
        if op[KIND] == AFFINE:
            w = matrix(memory, op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
            affine_forward(x, w, vector(memory, op[SECOND], op[WIDTH_OUT]), y)
        elif op[KIND] == BATCHNORM:
            batchnorm_op_forward(op, memory, arena, x, y, training)
        elif op[KIND] == ACTIVATION:
            activation_op_forward(op, memory, arena, n)


@jit
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


@jit
def activation_op_forward(op, memory, arena, n):
    size = n * op[WIDTH_OUT]
    x, y = vector(arena, op[X], size), vector(arena, op[Y], size)
    activation_forward(op[CODE], memory[op[SETTING]], x, y)


# ---------------------------------------------------------------------------------- loss


@jit
def loss(plan, arena, n, labels, targets, kind):
    """The reduced loss of the last forward; leaves its gradient at the network's output.

    `labels` is read by the loss of integer classes, `targets` by the others.
    """
    head = plan[0]
    m = head[WIDTH_LAST]
    z, dz = matrix(arena, head[OUTPUT], n, m), matrix(arena, head[D_OUTPUT], n, m)
    p = matrix(arena, head[SOFTMAX], n, m)
    losses, dlosses = vector(arena, head[LOSSES], n), vector(arena, head[D_LOSSES], n)
    weight = 1.0 / n if head[MEAN_REDUCTION] != 0 and n > 0 else 1.0
    for i in range(n):
        dlosses[i] = weight
    if kind == SOFTMAX_LABELS:
        softmax_cross_entropy_forward(z, labels, losses, p)
        softmax_cross_entropy_backward(dlosses, p, labels, dz)
    elif kind == SOFTMAX_SOFT:
        softmax_cross_entropy_soft_forward(z, targets, losses, p)
        softmax_cross_entropy_soft_backward(dlosses, p, targets, dz)
    else:
        mse_forward(z, targets, losses)
        mse_backward(dlosses, z, targets, dz)
    total = 0.0
    for i in range(n):
        total += losses[i]
    return total * weight


# ------------------------------------------------------------------------------ backward


@jit
def backward(plan, memory, arena, n):
    """From the gradient at the output to every parameter's gradient and the input's."""
    training = plan[0, TRAINING] != 0
    gradients = plan[0, N_PARAMETERS]  # what lies between a parameter and its gradient
    for r in range(plan.shape[0] - 1, 0, -1):
        op = plan[r]
        x, dx = matrix(arena, op[X], n, op[WIDTH_IN]), matrix(arena, op[DX], n, op[WIDTH_IN])
        dy = matrix(arena, op[DY], n, op[WIDTH_OUT])
        if op[KIND] == AFFINE:
            w = matrix(memory, op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
            dw = matrix(memory, gradients + op[FIRST], op[WIDTH_IN], op[WIDTH_OUT])
            db = vector(memory, gradients + op[SECOND], op[WIDTH_OUT])
            affine_backward(dy, x, w, dx, dw, db)
        elif op[KIND] == BATCHNORM:
            batchnorm_op_backward(op, memory, arena, dy, x, dx, gradients, training)
        elif op[KIND] == ACTIVATION:
            activation_op_backward(op, memory, arena, n)


@jit
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


@jit
def activation_op_backward(op, memory, arena, n):
    size = n * op[WIDTH_OUT]
    x, dx = vector(arena, op[X], size), vector(arena, op[DX], size)
    y, dy = vector(arena, op[Y], size), vector(arena, op[DY], size)
    activation_backward(op[CODE], memory[op[SETTING]], dy, x, y, dx)


# -------------------------------------------------------------------------------- update


@jit
def update(plan, memory):
    """Momentum on weights and biases, plain gradient descent on gammas and betas."""
    head = plan[0]
    size, n_linear = head[N_PARAMETERS], head[N_LINEAR]
    lr = memory[head[SETTINGS] + LEARNING_RATE]
    momentum = memory[head[SETTINGS] + MOMENTUM]
    w, dw = vector(memory, 0, n_linear), vector(memory, size, n_linear)
    velocity = vector(memory, head[VELOCITY], n_linear)
    momentum_update(w, dw, velocity, lr, momentum, 1.0, 0.0, w, velocity)
    scale = vector(memory, n_linear, size - n_linear)
    dscale = vector(memory, size + n_linear, size - n_linear)
    gradient_descent_update(scale, dscale, lr, 1.0, 0.0, scale)


@jit
def step(plan, memory, arena, x, labels, targets, kind):
    """One training step: forward, loss, backward, update. Returns the loss."""
    load(plan, arena, x)
    forward(plan, memory, arena, x.shape[0])
    value = loss(plan, arena, x.shape[0], labels, targets, kind)
    backward(plan, memory, arena, x.shape[0])
    update(plan, memory)
    return value
