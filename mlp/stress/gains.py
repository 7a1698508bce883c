"""Gains of a network's layers as an update has left them: how much larger each makes what comes
in, forward and backward. Nothing is run ahead: every layer is tried on what it was given in the
pass that is over.
"""

import math

from kernels.gemm import matmul_transpose_b
from kernels.jit import jit
from kernels.share import ALONE
from kernels.views import flat, floats, matrix, vector
from mlp.engine import apply_activation, apply_affine, pull_back
from mlp.plan import (
    AFFINE,
    ARENA,
    BATCHNORM,
    COLUMNS,
    DY,
    FIRST,
    HEADER,
    KIND,
    N_OPS,
    N_PARAMETERS,
    PRODUCT,
    READS,
    READS_Y,
    WIDTH_IN,
    WIDTH_OUT,
    X,
    Y,
)
from mlp.stress.statistics import log2_norm, log2_sum

INPUT, OUTPUT, FORWARD, BACKWARD, ALIGNED, SIZE, NORMALISED = range(7)
"""What is measured of each layer, as logarithms of norms: its input and its output, both with
the bias's 1 beside each row; output over input; the gradient at the layer below over that at
this one; |dW| over the product of input and gradient; weights and biases. NORMALISED is 1 where
batchnorm decides how large the output is."""

MEASURES = 7

Z, PHI, PASSED, BELOW = range(4)
"""Parts of the room: the layer's pre-activations and activations, the gradient at its input,
and that below the activation there."""

PARTS = 4


@jit
def measure_gains(state, memory, rows, room, gains):
    """Fill gains[layer] after forward, backward and update; returns log₂ of the gradient's norm at
    the last layer, before its activation.

    room : PARTS times the largest activation.
    gains (layers, MEASURES).
    """
    head = vector(state, 0, HEADER)
    ops = matrix(state, HEADER, head[N_OPS], COLUMNS)
    arena = floats(state, head[ARENA], memory)
    part = room.size // PARTS
    layer, gradient, one = -1, -math.inf, math.log2(rows) / 2
    for r in range(ops.shape[0]):
        op = ops[r]
        size = rows * op[WIDTH_OUT]
        z, y = vector(room, Z * part, size), vector(room, PHI * part, size)
        if op[KIND] == AFFINE:
            layer += 1
            below = gradient
            gradient = log2_norm(vector(arena, op[DY], size))
            gain = gains[layer]
            gain[NORMALISED] = 0
            gain[INPUT] = log2_sum(log2_norm(vector(arena, op[X], rows * op[WIDTH_IN])), one)
            measure_parameters(op, memory, head[N_PARAMETERS], gradient, gain)
            gain[BACKWARD] = below - gradient
            if layer > 0 and not gains[layer - 1, NORMALISED]:
                gain[BACKWARD] = passed_on(head, op, ops[r - 1], memory, arena, rows, room)
                gain[BACKWARD] -= gradient
            if gradient == -math.inf:
                gain[BACKWARD] = -math.inf
            x = matrix(arena, op[X], rows, op[WIDTH_IN])
            tried = matrix(z, 0, rows, op[WIDTH_OUT])
            apply_affine(head, op, memory, x, tried, -math.inf, ALONE)
        elif op[KIND] == BATCHNORM:
            gains[layer, NORMALISED] = 1
            z[:] = vector(arena, op[Y], size)
        else:
            apply_activation(op, memory, z, y, ALONE)
            gain = gains[layer]
            gain[FORWARD] = log2_norm(y) - gain[INPUT]
            gain[OUTPUT] = log2_sum(log2_norm(vector(arena, op[Y], size)), one)
    return gradient


@jit
def measure_parameters(op, memory, gradients, gradient, gain):
    """Of weights and biases, which lie side by side, their size, and how far their gradient is as
    large as input and gradient at the output allow.
    """
    size = (op[WIDTH_IN] + 1) * op[WIDTH_OUT]
    gain[SIZE] = log2_norm(vector(memory, op[FIRST], size))
    gain[ALIGNED] = 0.0
    if gradient > -math.inf:
        along = log2_norm(vector(memory, gradients + op[FIRST], size))
        gain[ALIGNED] = along - gain[INPUT] - gradient


@jit
def passed_on(head, op, activation, memory, arena, rows, room):
    """log₂ of the norm of the layer's gradient, as large as it was, behind its new weights and the
    activation below, where that is now.
    """
    part, k = room.size // PARTS, op[WIDTH_IN]
    dy = matrix(arena, op[DY], rows, op[WIDTH_OUT])
    w = matrix(memory, op[FIRST], k, op[WIDTH_OUT])
    dx = matrix(room, PASSED * part, rows, k)
    matmul_transpose_b(dy, w, dx, ALONE, head[PRODUCT])
    kept = PHI if activation[READS] == READS_Y else Z
    saved, below = vector(room, kept * part, rows * k), vector(room, BELOW * part, rows * k)
    pull_back(activation, memory, flat(dx), saved, below)
    return log2_norm(below)
