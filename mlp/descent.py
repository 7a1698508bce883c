"""The optimizer's step on any stretch of the parameters, after its op's backward or at the end."""

import math

import numpy as np

from kernels import (
    adam_update,
    adamw_update,
    gradient_descent_update,
    momentum_update,
    nesterov_update,
)
from kernels.address import call
from kernels.jit import jit, jit_inlined
from kernels.share import LINE_ENTRIES, share
from kernels.update import clip_scale, norm
from kernels.views import vector
from mlp.plan import (
    ADAM,
    EPS,
    FIRST_OP_SETTING,
    HEAVY_BALL,
    LEARNING_RATE,
    MAX_NORM,
    MOMENTUM,
    N_LINEAR,
    N_PARAMETERS,
    NESTEROV,
    OPTIMIZER,
    REST1,
    REST2,
    ROUND,
    SETTINGS,
    UPDATE_LOOP,
    UPDATE_ROUNDS,
    UPDATES,
    WEIGHT_DECAY,
)

# The functions themselves can be inlined, which the checked kernels around them cannot.
gradient_descent, heavy_ball = gradient_descent_update.jitted, momentum_update.jitted
nesterov, adam, adamw = nesterov_update.jitted, adam_update.jitted, adamw_update.jitted


@jit_inlined
def clips(head, memory):
    """Whether the update waits for the norm of all gradients."""
    return memory[head[SETTINGS] + MAX_NORM] < math.inf


@jit_inlined
def corrections_of_next(head, memory):
    """Adam's corrections 1 - β₁ᵗ and 1 - β₂ᵗ for the next update."""
    settings = vector(memory, head[SETTINGS], FIRST_OP_SETTING)
    if head[OPTIMIZER] == HEAVY_BALL or head[OPTIMIZER] == NESTEROV:
        return 1.0, 1.0
    t = ROUND * np.float64(settings[UPDATE_ROUNDS]) + np.float64(settings[UPDATES]) + 1.0
    beta1, beta2 = 1.0 - np.float64(settings[REST1]), 1.0 - np.float64(settings[REST2])
    return 1.0 - beta1**t, 1.0 - beta2**t


@jit_inlined
def count_update(head, memory):
    settings = vector(memory, head[SETTINGS], FIRST_OP_SETTING)
    settings[UPDATES] += 1
    if settings[UPDATES] == ROUND:
        settings[UPDATES] = 0
        settings[UPDATE_ROUNDS] += 1


@jit_inlined
def descends(head, memory):
    """Whether weights follow plain gradient descent."""
    return head[OPTIMIZER] == HEAVY_BALL and memory[head[SETTINGS] + MOMENTUM] == 0


@jit_inlined
def descent(head, memory):
    """What multiplies a weight and its gradient in w - lr·(dw + decay·w)."""
    settings = vector(memory, head[SETTINGS], FIRST_OP_SETTING)
    lr, decay = np.float64(settings[LEARNING_RATE]), np.float64(settings[WEIGHT_DECAY])
    return 1.0 - lr * decay, -lr


@jit_inlined
def update_all(head, memory, loop, corrections, team):
    """Every parameter, along gradients clipped where there is a largest norm.

    `loop` is the update of the optimizer, or its address.
    """
    size, scale = head[N_PARAMETERS], 1.0
    if clips(head, memory):
        max_norm = np.float64(memory[head[SETTINGS] + MAX_NORM])
        scale = clip_scale(norm(vector(memory, size, size)), max_norm)
    first, linear = np.int64(0), head[N_LINEAR]
    call(loop, head, memory, first, linear, scale, corrections, team)
    if size > linear:
        call(loop, head, memory, linear, size - linear, scale, corrections, team)


@jit_inlined
def update(head, memory, first, count, scale, corrections, team):
    """The parameters from `first` on: weights and biases of one op or all, or gammas and betas."""
    call(head[UPDATE_LOOP], head, memory, first, count, scale, corrections, team)


# ----------------------------------------------- the update of each optimizer, by its address


@jit_inlined
def parts(head, memory, first, count):
    """So many parameters, their gradients and both moments; one that is not kept is not read."""
    size = head[N_PARAMETERS]
    w, dw = vector(memory, first, count), vector(memory, size + first, count)
    return w, dw, vector(memory, 2 * size + first, count), vector(memory, 3 * size + first, count)


@jit_inlined
def setting(head, memory, which):
    """In float64: what follows from a setting is rounded once, at the end."""
    return np.float64(memory[head[SETTINGS] + which])


@jit
def update_heavy_ball(head, memory, first, count, scale, corrections, team):
    """With momentum, gammas and betas follow plain gradient descent."""
    lr, decay = setting(head, memory, LEARNING_RATE), setting(head, memory, WEIGHT_DECAY)
    momentum, (start, end) = setting(head, memory, MOMENTUM), share(count, LINE_ENTRIES, team)
    w, dw, moment, _ = parts(head, memory, first + start, end - start)
    if momentum == 0.0 or first >= head[N_LINEAR]:
        gradient_descent(w, dw, lr, scale, decay, w)
    else:
        heavy_ball(w, dw, moment, lr, momentum, scale, decay, w, moment)


@jit
def update_nesterov(head, memory, first, count, scale, corrections, team):
    lr, decay = setting(head, memory, LEARNING_RATE), setting(head, memory, WEIGHT_DECAY)
    momentum, (start, end) = setting(head, memory, MOMENTUM), share(count, LINE_ENTRIES, team)
    w, dw, moment, _ = parts(head, memory, first + start, end - start)
    nesterov(w, dw, moment, lr, momentum, scale, decay, w, moment)


@jit
def update_adam(head, memory, first, count, scale, corrections, team):
    """Adam, and AdamW."""
    lr, decay = setting(head, memory, LEARNING_RATE), setting(head, memory, WEIGHT_DECAY)
    beta1, beta2 = 1.0 - setting(head, memory, REST1), 1.0 - setting(head, memory, REST2)
    eps, (c1, c2) = setting(head, memory, EPS), corrections
    start, end = share(count, LINE_ENTRIES, team)
    w, dw, m, v = parts(head, memory, first + start, end - start)
    if head[OPTIMIZER] == ADAM:
        adam(w, dw, m, v, lr, beta1, beta2, eps, c1, c2, scale, decay, w, m, v)
    else:
        adamw(w, dw, m, v, lr, beta1, beta2, eps, c1, c2, scale, decay, w, m, v)
