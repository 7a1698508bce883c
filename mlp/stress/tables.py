"""Reads what a pass has left in a network's arena into a table of statistics, compiled."""

import math

from kernels.jit import jit
from kernels.share import ALONE
from kernels.views import flat, floats, matrix, vector
from mlp.engine import activation_backward
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    ARENA,
    BATCHNORM,
    COLUMNS,
    D_OUTPUT,
    DX,
    FIRST,
    HEADER,
    KIND,
    LOSSES,
    MEAN_REDUCTION,
    N_OPS,
    N_PARAMETERS,
    SECOND,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
    X,
    Y,
)
from mlp.plan import OUTPUT as OUTPUT_AT
from mlp.stress.series import TENSORS
from mlp.stress.statistics import cosine, log2_statistics

OUTPUT, PREACTIVATION, W, DW, DB, DX_OF_LAYER, DGAMMA, DBETA = range(len(TENSORS))
FRACTIONS = len(TENSORS)
DEAD, SATURATED, ALIGNMENT = range(3)
"""Rows of a layer's table: the tensors' statistics, then two fractions and, in the last layer,
the cosine between the output and the gradient with respect to it."""

FLAT = 0.01
"""A value is saturated where the activation's slope is below this."""


@jit
def record_pass(state, memory, rows, slopes, table):
    """Fill table[layer] from the arena after forward and backward; returns the loss, and whether
    that and all of the table is finite, or -inf as the logarithm of zero.

    slopes : as many ones as the largest activation has values, and room for as many slopes.
    table (layers, FRACTIONS + 1, 3) : statistics of each tensor, then fractions.
    """
    head = vector(state, 0, HEADER)
    ops = matrix(state, HEADER, head[N_OPS], COLUMNS)
    arena = floats(state, head[ARENA], memory)
    layer = -1
    for r in range(ops.shape[0]):
        op = ops[r]
        layer += op[KIND] == AFFINE
        record_op(op, memory, arena, head[N_PARAMETERS], rows, slopes, table[layer])
    size = rows * head[WIDTH_LAST]
    z, dz = vector(arena, head[OUTPUT_AT], size), vector(arena, head[D_OUTPUT], size)
    table[layer, FRACTIONS, ALIGNMENT] = cosine(z, dz)
    total = 0.0
    for i in range(rows):
        total += arena[head[LOSSES] + i]
    finite = math.isfinite(total)
    for entry in flat(table):
        finite = finite and entry < math.inf
    return (total / rows if head[MEAN_REDUCTION] != 0 else total), finite


@jit
def record_op(op, memory, arena, gradients, rows, slopes, table):
    """What one op adds to its layer's table."""
    m = op[WIDTH_OUT]
    y = vector(arena, op[Y], rows * m)
    first, second = op[FIRST], op[SECOND]
    if op[KIND] == ACTIVATION:
        log2_statistics(y, table[OUTPUT])
        x = vector(arena, op[X], rows * m)
        half = slopes.size // 2
        slope = vector(slopes, half, rows * m)
        activation_backward(op, memory, arena, vector(slopes, 0, rows * m), x, slope, ALONE)
        fractions(matrix(slopes, half, rows, m), table)
        return
    log2_statistics(y, table[PREACTIVATION])
    if op[KIND] == AFFINE:
        size = op[WIDTH_IN] * m
        log2_statistics(vector(memory, first, size), table[W])
        log2_statistics(vector(memory, gradients + first, size), table[DW])
        log2_statistics(vector(memory, gradients + second, m), table[DB])
        log2_statistics(vector(arena, op[DX], rows * op[WIDTH_IN]), table[DX_OF_LAYER])
    elif op[KIND] == BATCHNORM:
        log2_statistics(vector(memory, gradients + first, m), table[DGAMMA])
        log2_statistics(vector(memory, gradients + second, m), table[DBETA])


@jit
def fractions(slopes, table):
    """Of units whose slope is 0 in every row, and of values whose slope is nearly so."""
    dead, saturated = 0, 0
    for j in range(slopes.shape[1]):
        passes = False
        for i in range(slopes.shape[0]):
            size = abs(slopes[i, j])
            saturated += size < FLAT
            passes = passes or size != 0  # NaN is, too
        dead += not passes
    table[FRACTIONS, DEAD] = dead / slopes.shape[1]
    table[FRACTIONS, SATURATED] = saturated / slopes.size
