"""Reads what a pass has left in a network's arena into the series of a study, compiled."""

import math

import numpy as np

from kernels.activation import activation_backward
from kernels.jit import jit
from kernels.views import flat, floats, matrix, vector
from mlp.network import MLP
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    ARENA,
    BATCHNORM,
    CODE,
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
    SETTING,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
    X,
    Y,
)
from mlp.plan import OUTPUT as OUTPUT_AT
from mlp.stress.series import STATISTICS, TENSORS, Array
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

    slopes : room for the slopes of the largest activation.
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
        slope = vector(slopes, rows * m, rows * m)
        activation_backward(op[CODE], memory[op[SETTING]], vector(slopes, 0, rows * m), x, y, slope)
        fractions(matrix(slopes, rows * m, rows, m), table)
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
            passes = passes or not size == 0
        dead += not passes
    table[FRACTIONS, DEAD] = dead / slopes.shape[1]
    table[FRACTIONS, SATURATED] = saturated / slopes.size


class Recorder:
    """Collects the tables of a network's passes, and gives them as series."""

    def __init__(self, net: MLP, rows: int):
        widest = max(net._widths)
        self.net, self.rows = net, rows
        self.slopes = np.ones(2 * rows * widest, net.dtype)
        self.tables: list[Array] = []
        self.losses: list[float] = []

    def record(self) -> bool:
        """Record the pass that has been forward and backward; whether all was finite."""
        table = empty_table(self.net.nlayers)
        net = self.net
        loss, finite = record_pass(net._state, net._memory, self.rows, self.slopes, table)
        self.tables.append(table)
        self.losses.append(float(loss))
        return bool(finite)

    def series(self) -> dict[str, Array]:
        """All series so far."""
        return as_series(np.array(self.tables), np.array(self.losses), self.net.lr)


def empty_table(layers: int) -> Array:
    """Nothing is there: the logarithms are -inf, the fractions and the cosine 0."""
    table = np.full((layers, FRACTIONS + 1, len(STATISTICS)), -np.inf)
    table[:, FRACTIONS] = 0
    return table


def as_series(
    tables: Array, losses: Array, lr: float, log2_losses: Array | None = None
) -> dict[str, Array]:
    """The series of a study from tables (passes, layers, rows, statistics)."""
    found = {
        f"{tensor}.{statistic}": np.ascontiguousarray(tables[:, :, i, j])
        for i, tensor in enumerate(TENSORS)
        for j, statistic in enumerate(STATISTICS)
    }
    found["dead"] = np.ascontiguousarray(tables[:, :, FRACTIONS, DEAD])
    found["saturated"] = np.ascontiguousarray(tables[:, :, FRACTIONS, SATURATED])
    found["alignment"] = np.ascontiguousarray(tables[:, -1, FRACTIONS, ALIGNMENT])
    with np.errstate(divide="ignore", invalid="ignore"):
        found["log2_update_to_weight"] = np.log2(lr) + tables[:, :, DW, 0] - tables[:, :, W, 0]
        found["loss"] = losses
        found["log2_loss"] = np.log2(np.abs(losses)) if log2_losses is None else log2_losses
        largest = tables[:, :, : len(TENSORS), 1].max(axis=(1, 2))
        found["log2_largest"] = np.maximum(largest, found["log2_loss"])
    return found
