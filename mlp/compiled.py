"""The network inside the user's own compiled code: forward and training step, callable in @njit.

Both take the network as `params`, a pair of arrays, so one compilation serves every network of
a dtype. They check shapes, never allocate, and touch no Python object.

`params` holds addresses of compiled loops: it is good in the process that made it and in its forks,
and refused in others.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from kernels.address import process
from kernels.jit import jit as compiled
from kernels.jit import jit_inlined
from kernels.share import ALONE
from kernels.simd import scratch
from kernels.views import flat, floats, matrix, vector, words
from mlp.arguments import whole
from mlp.descent import corrections_of_next, count_update, update_all
from mlp.engine import apply, run
from mlp.layers import Array
from mlp.link import UPDATES
from mlp.losses import checked_labels
from mlp.plan import (
    ARENA,
    BACKWARD,
    CAPACITY,
    CHECK,
    COLUMNS,
    FORWARD,
    HAS_BATCHNORM,
    HEADER,
    LOSE,
    LOSS_OF_ROWS,
    MEAN_REDUCTION,
    N_OPS,
    OPTIMIZER,
    PROCESS,
    REFUSED,
    SOFTMAX_LABELS,
    SPECIAL,
    SQUARES,
    UPDATE,
    WIDEST,
    WIDTH_IN,
    WIDTH_LAST,
    WIDTH_OUT,
)
from mlp.specialized import Constants, Table, architecture_number, constants, through_all, unrolled

if TYPE_CHECKING:
    from mlp.network import MLP

Compiled = tuple[Any, tuple[Array, Array]]
"""A compiled function, and the arrays that it takes as the network."""

BUFFER_BYTES = 131_072
"""Two buffers on the stack of half this size take the rows of a batch through all layers, as many
rows at a time as fit."""


def jit(net: "MLP") -> Compiled:
    """`forward` and `params`, to be called as forward(params, x, out) in compiled code.

    `params` shares the network's parameters and running statistics: what it learns later is
    seen. Raises ValueError for layers too wide for the buffers on the stack.
    """
    widest = BUFFER_BYTES // 2 // net.dtype.itemsize
    if max(net._widths) > widest:
        raise ValueError(
            f"MLP.jit: the widest layer has {max(net._widths)} units, expected at most {widest}"
        )
    return forward, (net._linked_state(1, widest), net._memory)


def jit_train_step(net: "MLP", max_rows: int, specialized: bool = False) -> Compiled:
    """`train_step` and `params`, to be called as train_step(params, x, y) in compiled code.

    `params` shares the network's parameters and holds room for `max_rows` rows of its own, so
    one `params` serves one thread at a time. Batchnorm takes the batch's statistics, for which
    a batch needs two rows.

    With `specialized` the step is compiled for this architecture and for batches of exactly
    `max_rows` rows: some seconds in every process, for a step that is two to four times as fast
    where layers have up to about eight units. Sums are rounded in another order.

    The network sees by the number of its updates that there were such steps: a `backward` then
    wants a new forward, and gradients of before are forgotten, as by the network's own steps.
    """
    rows = whole("MLP.jit_train_step: max_rows", max_rows, low=1)
    state = net._linked_state(rows)
    if specialized:
        state[SPECIAL] = architecture_number(state, net.dtype)
        return special_train_step(*constants(state), int(state[SPECIAL])), (state, net._memory)
    return train_step, (state, net._memory)


# ------------------------------------------------- dtypes and layouts, while the code compiles


def fault(where: str, name: str, array: Any, expected: str) -> str:
    given = getattr(array, "name", None) or f"{type(array).__name__}"
    return f"{where}: {name} is {given}, expected a C-contiguous array of {expected}"


def is_array(array: Any, dtypes: tuple[Any, ...], ndims: tuple[int, ...]) -> bool:
    """Whether a Numba type is that of an array which compiled code may read as it lies."""
    return (
        isinstance(array, types.Array)
        and array.dtype in dtypes
        and array.ndim in ndims
        and array.layout == "C"
        and array.aligned
    )


def checked_for_forward(memory, x, out):
    """x and out, unless compiled code would misread their dtypes or layouts; costs no time.

    Without what it returns, nothing of the caller that works on the arrays has a type.
    """
    return x, out


@overload(checked_for_forward)
def _checked_for_forward(memory, x, out):
    for name, array in (("x", x), ("out", out)):
        if not is_array(array, (memory.dtype,), (1, 2)):
            raise TypingError(fault("forward", name, array, f"{memory.dtype}, 1-d or 2-d"))
    if not out.mutable:
        raise TypingError("forward: out is read-only, expected an array to write to")
    return lambda memory, x, out: (x, out)


def checked_for_step(memory, x, y):
    """x and y for a training step, likewise."""
    return x, y


@overload(checked_for_step)
def _checked_for_step(memory, x, y):
    if not is_array(x, (memory.dtype,), (2,)):
        raise TypingError(fault("train_step", "x", x, f"{memory.dtype}, 2-d"))
    if not is_array(y, (types.int64,), (1,)) and not is_array(y, (memory.dtype,), (2,)):
        expected = f"int64 classes, 1-d, or {memory.dtype} rows, 2-d"
        raise TypingError(fault("train_step", "y", y, expected))
    return lambda memory, x, y: (x, y)


# ------------------------------------------------------------------------------ the functions


@compiled
def forward(params, x, out):
    """The network's output for x, with running statistics in batchnorm.

    params : from `MLP.jit`.
    x (N, inputs) or (inputs,), out (N, outputs) or (outputs,) : C-contiguous, in the
        network's dtype. `out` is overwritten.

    Raises ValueError where the shapes do not fit. A batch passes through all layers a few
    rows at a time, so that its activations stay in the nearest cache.
    """
    state, memory = params
    x, out = checked_for_forward(memory, x, out)
    head = vector(state, 0, HEADER)
    ops = matrix(state, HEADER, head[N_OPS], COLUMNS)
    inputs, outputs = ops[0, WIDTH_IN], head[WIDTH_LAST]
    n = x.size // inputs
    if head[PROCESS] != process():
        raise ValueError("forward: params was made in another process, and is good only there")
    if x.shape[-1] != inputs or x.size != n * inputs:
        raise ValueError("forward: x has the wrong width, expected (N, inputs of the network)")
    if out.shape[-1] != outputs or out.size != n * outputs:
        raise ValueError("forward: out has the wrong shape, expected (rows of x, outputs)")
    buffers = scratch(memory, BUFFER_BYTES)
    half = buffers.size // 2
    together = half // head[WIDEST]
    for start in range(0, n, together):
        rows = min(together, n - start)
        x_op = matrix(flat(x), start * inputs, rows, inputs)
        for r in range(ops.shape[0]):
            op = ops[r]
            y_op = matrix(buffers, (r & 1) * half, rows, op[WIDTH_OUT])
            if r == ops.shape[0] - 1:
                y_op = matrix(flat(out), start * outputs, rows, outputs)
            apply(head, op, memory, memory, x_op, y_op, -np.inf, np.bool_(False), ALONE)
            x_op = y_op


@compiled
def train_step(params, x, y):
    """Forward, loss, backward and update on one batch; returns the loss before the update.

    params : from `MLP.jit_train_step`, which says how many rows fit.
    x (N, inputs), y : int64 classes (N,), or target rows (N, outputs) : C-contiguous.

    Raises ValueError, before anything changes, where shapes or classes do not fit.
    """
    state, memory = params
    x, y = checked_for_step(memory, x, y)
    head, n = vector(state, 0, HEADER), x.shape[0]
    check_batch(state, head, x, y)
    if n > head[CAPACITY]:
        raise ValueError("train_step: x has more rows than jit_train_step was told")
    kind = SOFTMAX_LABELS if y.ndim == 1 else head[LOSS_OF_ROWS]
    command = FORWARD | LOSE | BACKWARD | UPDATE | CHECK
    total = run(
        state, memory, matrix(flat(x), 0, n, x.shape[1]), words(y), command, n, kind, *ALONE
    )
    if y.ndim == 1 and total == REFUSED:
        raise ValueError("train_step: y holds a class outside 0 ... outputs - 1")
    return total / max(n, 1) if head[MEAN_REDUCTION] != 0 else total


@jit_inlined
def check_batch(state, head, x, y):
    """What every training step asks of its arguments, but for the number of rows."""
    n = x.shape[0]
    if head[PROCESS] != process():
        raise ValueError("train_step: params was made in another process, and is good only there")
    if x.shape[1] != state[HEADER + WIDTH_IN]:
        raise ValueError("train_step: x has the wrong width, expected (N, inputs of the network)")
    if n == 1 and head[HAS_BATCHNORM]:
        raise ValueError("train_step: x has 1 row, expected at least 2 with batchnorm")
    if y.shape[0] != n:
        raise ValueError("train_step: y has another number of rows than x")
    if y.ndim == 1:
        if head[LOSS_OF_ROWS] == SQUARES:
            raise ValueError("train_step: y holds classes, expected target rows for mse")
    elif y.size != n * head[WIDTH_LAST]:
        raise ValueError("train_step: y has the wrong width, expected (N, outputs)")


@cache
def special_train_step(head_constants: Constants, ops_constants: Table, number: int) -> Any:
    """The training step of one architecture, known by its number."""
    n, loss_of_rows = head_constants[CAPACITY], head_constants[LOSS_OF_ROWS]
    width_in, width_last = ops_constants[0][WIDTH_IN], head_constants[WIDTH_LAST]
    optimizer_update = UPDATES[head_constants[OPTIMIZER]]
    is_mean = bool(head_constants[MEAN_REDUCTION])
    # With mse classes are refused before it comes to a loss.
    of_rows = through_all(head_constants, ops_constants, loss_of_rows)
    of_classes = through_all(head_constants, ops_constants, SOFTMAX_LABELS)

    @unrolled
    def special_step(params, x, y):
        state, memory = params
        checked_for_step(memory, x, y)
        head, ops = vector(state, 0, HEADER), matrix(state, HEADER, len(ops_constants), COLUMNS)
        if head[SPECIAL] != number:
            raise ValueError("train_step: params is another network's, or was not specialized")
        check_batch(state, head, x, y)
        if x.shape[0] != n:
            raise ValueError("train_step: x has another number of rows than it is specialized for")
        arena = floats(state, head[ARENA], memory)
        rows = matrix(flat(x), 0, n, width_in)
        if y.ndim == 1:
            labels, refuses = checked_labels(head, state, vector(y, 0, n), ALONE)
            if refuses:
                raise ValueError("train_step: y holds a class outside 0 ... outputs - 1")
            total = of_classes(head, ops, memory, arena, rows, labels, rows)
        else:
            total = of_rows(head, ops, memory, arena, rows, matrix(flat(y), 0, n, width_last), rows)
        update_all(head, memory, optimizer_update, corrections_of_next(head, memory), ALONE)
        count_update(head, memory)
        return total / n if is_mean else total

    return special_step
