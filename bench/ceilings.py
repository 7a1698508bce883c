"""What this machine can do at all, measured beside the rest: multiply-adds and memory traffic."""

from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bench.timing import Budget, interleave, timed
from kernels.jit import jit
from kernels.simd import HAS_FMA, VECTOR_BYTES

CHAINS = 12
"""Independent sums: two multiply-adds begin in each cycle and take four, so eight are in
flight; twelve and their two factors fit sixteen registers."""

MULTIPLY_ADDS = 20_000

IN_CACHE = 4096
OUT_OF_CACHE = 1 << 24
"""Elements: 64 MB an array of float32, beyond the last cache of most machines."""

REPEATS = 200


def multiplied_added(builder, fused, total, step):
    """total·step + step, in one instruction where the processor has it."""
    if HAS_FMA:
        return builder.call(fused, [total, step, step])
    return builder.fadd(builder.fmul(total, step), step)


@intrinsic
def _multiply_add(typing_context, factor, times):
    """The sum of CHAINS vectors after `times` multiply-adds each, in registers alone."""

    def codegen(context, builder, signature, args):
        element = context.get_data_type(factor)
        vector = ir.VectorType(element, VECTOR_BYTES // context.get_abi_sizeof(element))
        index = ir.IntType(32)
        lanes = ir.Constant(ir.VectorType(index, vector.count), [0] * vector.count)
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, args[0], index(0))
        step = builder.shuffle_vector(first, undefined, lanes)
        name = f"llvm.fma.v{vector.count}f{8 * context.get_abi_sizeof(element)}"
        kind = ir.FunctionType(vector, [vector] * 3)
        fused = cgutils.get_or_insert_function(builder.module, kind, name)
        before = builder.block
        loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(ir.IntType(64))
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        left = builder.sub(count, ir.Constant(ir.IntType(64), 1))
        count.add_incoming(args[1], before)
        count.add_incoming(left, loop)
        for i, total in enumerate(sums):
            start = ir.Constant(vector, [float(i + lane) for lane in range(vector.count)])
            total.add_incoming(start, before)
            total.add_incoming(multiplied_added(builder, fused, total, step), loop)
        builder.cbranch(builder.icmp_signed(">", left, left.type(0)), loop, done)
        builder.position_at_end(done)
        total = sums[0].incomings[1][0]
        for other in sums[1:]:
            total = builder.fadd(total, other.incomings[1][0])
        result = builder.extract_element(total, index(0))
        for lane in range(1, vector.count):
            result = builder.fadd(result, builder.extract_element(total, index(lane)))
        return result

    return factor(factor, types.int64), codegen


@jit
def multiply_add(factor, times):
    return _multiply_add(factor, times)


@jit
def copy(a, b, c):
    """c = a."""
    for i in range(c.size):
        c[i] = a[i]


@jit
def triad(a, b, c):
    """c = a + ½·b."""
    half = a.dtype.type(0.5)
    for i in range(c.size):
        c[i] = a[i] + half * b[i]


@jit
def repeated_copy(a, b, c, times):
    for _ in range(times):
        copy(a, b, c)
        copy(c, b, a)


@jit
def repeated_triad(a, b, c, times):
    for _ in range(times):
        triad(a, b, c)
        triad(c, b, a)


@dataclass(frozen=True)
class Ceilings:
    """flop/s by dtype; bytes/s by place and by how many arrays are read for one written."""

    multiply_add: dict[str, float]
    in_cache: dict[str, float]
    out_of_cache: dict[str, float]


def measure(budget: Budget) -> Ceilings:
    return Ceilings(multiply_adds(budget), in_cache(budget), out_of_cache(budget))


def multiply_adds(budget: Budget) -> dict[str, float]:
    """flop/s in float32 and float64."""
    factors = [np.float32(0.5), np.float64(0.5)]
    entrants = [timed(f.dtype.name, lambda f=f: multiply_add(f, MULTIPLY_ADDS)) for f in factors]
    taken = interleave(entrants, budget)
    return {
        f.dtype.name: 2 * CHAINS * MULTIPLY_ADDS * (VECTOR_BYTES // f.itemsize)
        / taken[f.dtype.name].low
        for f in factors
    }  # fmt: skip


def in_cache(budget: Budget) -> dict[str, float]:
    """Bytes/s without the price of a call from Python."""
    a, b, c = (np.ones(IN_CACHE, np.float32) for _ in range(3))
    loops = {"copy": (repeated_copy, 2), "triad": (repeated_triad, 3)}
    entrants = [
        timed(name, lambda f=f: f(a, b, c, REPEATS), 2 * REPEATS) for name, (f, _) in loops.items()
    ]
    taken = interleave(entrants, budget)
    return {name: arrays * a.nbytes / taken[name].median for name, (_, arrays) in loops.items()}


def out_of_cache(budget: Budget) -> dict[str, float]:
    """Bytes/s that an algorithm must move: what a store fetches first is not counted.

    The copy is the better of the C library's, which may write past the caches, and a loop.
    """
    a, b, c = (np.ones(OUT_OF_CACHE, np.float32) for _ in range(3))
    entrants = [
        timed("library copy", lambda: np.copyto(c, a)),
        timed("copy", lambda: copy(a, b, c)),
        timed("triad", lambda: triad(a, b, c)),
    ]
    taken = interleave(entrants, budget)
    best = min(taken["copy"].median, taken["library copy"].median)
    return {"copy": 2 * a.nbytes / best, "triad": 3 * a.nbytes / taken["triad"].median}
