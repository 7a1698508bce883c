"""The compiled loops that a network's plan calls by their addresses.

`engine.run` names none of them, so it is compiled without them, and each of them once a network
needs it: whoever has no batchnorm never waits until batchnorm is compiled. The kernels among them
are those that Python calls.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from kernels import OPS
from kernels.activation import ACTIVATIONS
from kernels.address import address_of, this_process
from kernels.gemm import TINY, product
from kernels.op import Op
from mlp.batchnorm import backward_of_batchnorm, forward_of_batchnorm
from mlp.descent import update_adam, update_heavy_ball, update_nesterov
from mlp.layers import Array
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    BACKWARD_LOOP,
    BATCHNORM,
    FORWARD_LOOP,
    LOSS_BACKWARD,
    LOSS_FORWARD,
    LOSS_OF_ROWS,
    OPTIMIZER,
    PROCESS,
    PRODUCT,
    READS,
    READS_NOTHING,
    READS_X,
    READS_Y,
    SOFTMAX_LABELS,
    SOFTMAX_SOFT,
    SQUARES,
    TAKES_SETTING,
    UPDATE_LOOP,
    OpSpec,
    rows_of,
)

LOSSES = {
    SOFTMAX_LABELS: OPS["softmax_cross_entropy"],
    SOFTMAX_SOFT: OPS["softmax_cross_entropy_soft"],
    SQUARES: OPS["mse"],
}

UPDATES = update_heavy_ball, update_nesterov, update_adam, update_adam
"""In the order of the optimizers' codes."""


def link(state: Array, specs: Sequence[OpSpec], dtype: np.dtype, rows: int) -> None:
    """Put the addresses of what ops, losses and update need into `state`, compiled or loaded.

    No batch may have more than `rows` rows: where all products stay tiny, the other is left out.
    """
    state[PROCESS] = this_process()
    if any(rows * s.width_in * s.width_out > TINY for s in specs if s.kind == AFFINE):
        state[PRODUCT] = product_address(dtype)
    for row, spec in zip(rows_of(state), specs, strict=True):
        if spec.kind == ACTIVATION:
            op = ACTIVATIONS[spec.code]
            row[FORWARD_LOOP], row[BACKWARD_LOOP] = kernel_addresses(op, dtype)
            row[TAKES_SETTING], row[READS] = bool(op.hyper), what_backward_reads(op)
        elif spec.kind == BATCHNORM:
            row[FORWARD_LOOP], row[BACKWARD_LOOP] = batchnorm_addresses(dtype)
    squares = state[LOSS_OF_ROWS] == SQUARES
    for kind in (SQUARES,) if squares else (SOFTMAX_LABELS, SOFTMAX_SOFT):
        loops = kernel_addresses(LOSSES[kind], dtype)
        state[LOSS_FORWARD + kind], state[LOSS_BACKWARD + kind] = loops
    state[UPDATE_LOOP] = update_address(int(state[OPTIMIZER]), dtype)


def compile_all(dtype: np.dtype) -> None:
    """Compile or load what any network of this dtype may need."""
    product_address(dtype)
    batchnorm_addresses(dtype)
    for op in (*ACTIVATIONS, *LOSSES.values()):
        kernel_addresses(op, dtype)
    for optimizer in range(len(UPDATES)):
        update_address(optimizer, dtype)


def what_backward_reads(op: Op) -> int:
    """Besides dy and a setting."""
    assert op.backward is not None
    if "x" in op.backward.parameters:
        return READS_X
    return READS_Y if "y" in op.backward.parameters else READS_NOTHING


# ------------------------------------------- each by examples of what the engine calls it with


@cache
def kernel_addresses(op: Op, dtype: np.dtype) -> tuple[int, int]:
    """Those of forward and backward."""
    assert op.backward is not None
    forward, backward = op.forward, op.backward
    return (
        address_of(forward.jitted, *forward.examples(dtype)),
        address_of(backward.jitted, *backward.examples(dtype)),
    )


@cache
def product_address(dtype: np.dtype) -> int:
    array, pair, ends = np.empty(0, dtype), (0, 0), (dtype.type(0),) * 3
    return address_of(
        product, array, pair, array, pair, array, 0, 0, 0, array, 0, ends, pair
    )  # fmt: skip


@cache
def batchnorm_addresses(dtype: np.dtype) -> tuple[int, int]:
    words, array, matrix = np.empty(0, np.int64), np.empty(0, dtype), np.empty((0, 0), dtype)
    return (
        address_of(forward_of_batchnorm, words, array, array, matrix, matrix, True),
        address_of(backward_of_batchnorm, words, words, array, array, matrix, matrix, matrix),
    )


@cache
def update_address(optimizer: int, dtype: np.dtype) -> int:
    words, array = np.empty(0, np.int64), np.empty(0, dtype)
    return address_of(UPDATES[optimizer], words, array, 0, 0, 0.0, (0.0, 0.0), (0, 0))
