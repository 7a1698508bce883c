"""Batchnorm as an op of a network: where its arrays lie, and which statistics it takes.

The engine calls both by their addresses (`link.py`).
"""

from kernels import OPS, running_average_update
from kernels.jit import jit
from kernels.views import vector
from mlp.plan import (
    FIRST,
    MEAN,
    N_PARAMETERS,
    RSTD,
    RUNNING_MEAN,
    RUNNING_VAR,
    SECOND,
    SETTING,
    TRAINING,
    VAR,
    WIDTH_OUT,
)

# The functions themselves can be inlined, which the checked kernels around them cannot.
batchnorm_forward, batchnorm_backward = OPS["batchnorm"].jitted
batchnorm_inference_forward, batchnorm_inference_backward = OPS["batchnorm_inference"].jitted


@jit
def forward_of_batchnorm(op, memory, arena, x, y, training):
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
def backward_of_batchnorm(head, op, memory, arena, dy, x, dx):
    m, gradients = op[WIDTH_OUT], head[N_PARAMETERS]
    gamma = vector(memory, op[FIRST], m)
    dgamma = vector(memory, gradients + op[FIRST], m)
    dbeta = vector(memory, gradients + op[SECOND], m)
    if head[TRAINING] != 0:
        mean, rstd = vector(arena, op[MEAN], m), vector(arena, op[RSTD], m)
        batchnorm_backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta)
    else:
        mean, var = vector(memory, op[RUNNING_MEAN], m), vector(memory, op[RUNNING_VAR], m)
        eps = memory[op[SETTING]]
        batchnorm_inference_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta)
