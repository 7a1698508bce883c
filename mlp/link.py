"""The compiled loops that a network's plan calls by their addresses, compiled once it needs them.

`engine.run` names none of them: it is compiled without, and a network without batchnorm, say,
never waits for batchnorm to be compiled. Kernels are the very ones that Python calls.
"""

from collections.abc import Sequence

import numpy as np

from kernels import OPS
from kernels.activation import ACTIVATIONS
from kernels.address import address_of
from kernels.boundary import Kernel
from kernels.gemm import TINY, product
from mlp import descent
from mlp.batchnorm import backward_of_batchnorm, forward_of_batchnorm
from mlp.plan import (
    ACTIVATION,
    AFFINE,
    BACKWARD_LOOP,
    BATCHNORM,
    CAPACITY,
    FORWARD_LOOP,
    INPUT,
    LOSS_BACKWARD,
    LOSS_FORWARD,
    LOSS_OF_ROWS,
    NOTHING,
    OPTIMIZER,
    OUTPUT_ITSELF,
    PRODUCT,
    READS,
    SOFTMAX_LABELS,
    SQUARES,
    TAKES_SETTING,
    UPDATE_LOOP,
    OpSpec,
    rows_of,
)

LOSS_OPS = ("softmax_cross_entropy", "softmax_cross_entropy_soft", "mse")
"""In the order of their codes."""

UPDATES = (
    descent.heavy_ball_update,
    descent.nesterov_update,
    descent.adams_update,
    descent.adams_update,
)
"""In the order of the optimizers' codes."""

NUMBER, PAIR, IS = 0, (0, 1), np.bool_(True)
WORDS = np.empty(0, np.int64)


def link(state: np.ndarray, specs: Sequence[OpSpec], dtype: np.dtype, rows: float = 0) -> None:
    """Put the addresses of what the ops, the losses and the update need into `state`.

    `rows` is the largest batch, if that is more than the state has room for.
    """
    rows = max(rows, state[CAPACITY])
    if any(rows * s.width_in * s.width_out > TINY for s in specs if s.kind == AFFINE):
        state[PRODUCT] = address_of_product(dtype)
    for row, spec in zip(rows_of(state), specs, strict=True):
        if spec.kind == ACTIVATION:
            op = ACTIVATIONS[spec.code]
            row[FORWARD_LOOP] = address_of_kernel(op.forward, dtype)
            row[BACKWARD_LOOP] = address_of_kernel(op.backward, dtype)
            row[TAKES_SETTING] = bool(op.hyper)
            saved = set(op.backward.parameters) & {"x", "y"}
            row[READS] = {"": NOTHING, "x": INPUT, "y": OUTPUT_ITSELF}["".join(saved)]
        elif spec.kind == BATCHNORM:
            row[FORWARD_LOOP], row[BACKWARD_LOOP] = addresses_of_batchnorm(dtype)
    kinds = {SQUARES} if state[LOSS_OF_ROWS] == SQUARES else {SOFTMAX_LABELS, state[LOSS_OF_ROWS]}
    for kind in kinds:
        op = OPS[LOSS_OPS[kind]]
        state[LOSS_FORWARD + kind] = address_of_kernel(op.forward, dtype)
        state[LOSS_BACKWARD + kind] = address_of_kernel(op.backward, dtype)
    state[UPDATE_LOOP] = address_of_update(state[OPTIMIZER], dtype)


def address_of_kernel(kernel: Kernel, dtype: np.dtype) -> int:
    return address_of(kernel.jitted, *kernel.examples(dtype))


def address_of_product(dtype: np.dtype) -> int:
    array, ends = np.empty(0, dtype), (dtype.type(0),) * 3
    return address_of(
        product, array, PAIR, array, PAIR, array, NUMBER, NUMBER, NUMBER, array, NUMBER, ends, PAIR
    )


def addresses_of_batchnorm(dtype: np.dtype) -> tuple[int, int]:
    array, matrix = np.empty(0, dtype), np.empty((0, 0), dtype)
    return (
        address_of(forward_of_batchnorm, WORDS, array, array, matrix, matrix, IS),
        address_of(backward_of_batchnorm, WORDS, WORDS, array, array, matrix, matrix, matrix),
    )


def address_of_update(optimizer: int, dtype: np.dtype) -> int:
    memory, corrections = np.empty(0, dtype), (0.0, 0.0)
    return address_of(UPDATES[optimizer], WORDS, memory, NUMBER, NUMBER, 0.0, corrections, PAIR)
