"""Elementwise kernels beside torch's, in the cache, and beside memory's speed out of it."""

import inspect
from collections.abc import Callable

import numpy as np

from bench.ceilings import IN_CACHE, OUT_OF_CACHE, copy, triad
from bench.contender import Contender
from bench.progress import say
from bench.rows import OURS, Row
from bench.timing import Budget, interleave, timed
from kernels import OPS, Kernel, Op

try:
    import torch

    from bench.peers.torch_kernels import CALLS
except ModuleNotFoundError:
    CALLS = {}

DTYPES = ("float32", "float64")

STREAM = OURS + " stream"
"""The plain copy or triad that is timed in turns with a kernel out of cache."""

STREAM_GOAL = 0.85
"""Of the bandwidth that a copy or a triad reaches in the same run."""


def known(op: Op, kernel: Kernel, dtype: str, size: int) -> dict:
    """Every argument by name, one-dimensional; what forward leaves for backward is computed."""
    draw = np.random.default_rng(0)
    values = {name: hyper.default for name, hyper in op.hyper.items()}
    for argument in op.forward.arguments:
        if argument.role == "input":
            values[argument.name] = draw.standard_normal(size, np.float32).astype(dtype)
        elif argument.role == "output":
            values[argument.name] = np.empty(size, dtype)
    op.forward.jitted(*[values[name] for name in op.forward.parameters])
    for argument in kernel.arguments:
        if argument.name not in values:
            values[argument.name] = draw.standard_normal(size, np.float32).astype(dtype)
    return values


def peer(call: Callable, values: dict, expected: np.ndarray, into: np.ndarray) -> Contender:
    """Torch's operation on the same memory, once it has been seen to give the same."""
    wanted = [values[name] for name in inspect.signature(call).parameters]
    tensors = [torch.from_numpy(v) if isinstance(v, np.ndarray) else v for v in wanted]
    into[:] = np.nan
    call(*tensors)
    np.testing.assert_allclose(into, expected, rtol=1e-4, atol=1e-5)
    return timed("PyTorch", lambda: call(*tensors))


def stream(reads: list[np.ndarray], into: np.ndarray) -> Contender:
    """What memory gives at this moment to a plain loop, on the kernel's own arrays.

    Where an array lies decides a tenth of its speed.
    """
    loop = triad if len(reads) > 1 else copy
    return timed(STREAM, lambda: loop(reads[0], reads[-1], into))


def row(op: Op, kernel: Kernel, dtype: str, size: int, budget: Budget) -> Row:
    values = known(op, kernel, dtype, size)
    roles = [argument.role for argument in kernel.arguments]
    read, written = roles.count("input"), roles.count("output")
    arguments = [values[name] for name in kernel.parameters]
    entrants = [timed(OURS, lambda: kernel.jitted(*arguments))]
    if size != IN_CACHE:
        inputs = [values[a.name] for a in kernel.arguments if a.role == "input"]
        entrants.append(stream(inputs, arguments[-1]))
    if call := CALLS.get(kernel.__name__):
        entrants[0].run()
        entrants.append(peer(call, values, np.array(arguments[-1]), arguments[-1]))
    return Row(
        case=kernel.__name__, times=interleave(entrants, budget), goal=1,
        description=f"{dtype}, {size} elements, {read} read, {written} written",
        bytes=(read + written) * arguments[-1].nbytes,
        group=f"elementwise {dtype} {'in' if size == IN_CACHE else 'out of'} cache",
    )  # fmt: skip


def measure(budget: Budget, sizes=(IN_CACHE, OUT_OF_CACHE), names=None) -> list[Row]:
    """A row for each kernel, dtype and size."""
    rows = []
    for op in OPS.values():
        if not op.is_elementwise or (names and op.name not in names):
            continue
        say(f"elementwise: {op.name}")
        for kernel in filter(None, (op.forward, op.backward)):
            rows += [row(op, kernel, dtype, size, budget) for size in sizes for dtype in DTYPES]
    return rows
