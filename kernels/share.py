"""Sharing one call's work among threads: who does what, and waiting for each other.

Every thread runs the same compiled code over the same arrays and does its share of each
operation: rows, columns or entries that nobody else writes. Each result is computed by one thread
in the order in which one thread alone would, so the bits do not depend on how many there are.
A `team` is (which thread this is, how many there are).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.jit import jit

ALONE = (np.int64(0), np.int64(1))
"""The team of one. Numbers of one type, for a plain constant has a type of its own, and what is
called with it would be compiled once more.
"""

LINE_ENTRIES = np.int64(64)
"""Shares of a vector begin at multiples of so many entries: whole cache lines, whole vectors."""

ARRIVED, PHASE, BARRIER_WORDS = 0, 8, 16
"""A barrier is so many int64 words: how many have arrived, and how often all had; each on a
cache line of its own."""

SPINS = 512
"""How often a thread looks before it lets another have the core, should there be too few."""


@jit
def share(count, unit, team):
    """The first and the end of this thread's part of `count` things, in multiples of `unit`.

    The last part has what is left over besides: a loop over few entries is compiled otherwise
    than the end of a long one, and may round otherwise.
    """
    thread, threads = team
    if threads == 1:
        return 0, count
    units = max(1, count // unit)
    end = count if thread == threads - 1 else units * (thread + 1) // threads * unit
    return units * thread // threads * unit, end


def _emit_pause(builder):
    """Tell the processor that a loop only waits."""
    number = ir.IntType(32)
    machine = builder.module.triple.split("-")[0]
    if machine == "x86_64":
        name, arguments = "llvm.x86.sse2.pause", []
    elif machine in ("aarch64", "arm64"):
        name, arguments = "llvm.aarch64.hint", [number(1)]
    else:
        return
    kind = ir.FunctionType(ir.VoidType(), [number] * len(arguments))
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _emit_barrier(builder, arrived, phase, threads):
    word = ir.IntType(64)
    yield_core = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
    )
    before = builder.load_atomic(phase, "monotonic", 8)
    others = builder.atomic_rmw("add", arrived, word(1), "acq_rel")
    is_last = builder.icmp_signed("==", others, builder.sub(threads, word(1)))
    look, wait = builder.append_basic_block("look"), builder.append_basic_block("wait")
    done = builder.append_basic_block("together")
    with builder.if_then(is_last):
        builder.store_atomic(word(0), arrived, "monotonic", 8)
        builder.store_atomic(builder.add(before, word(1)), phase, "release", 8)
        builder.branch(done)
    entry = builder.basic_block
    builder.branch(look)
    builder.position_at_end(look)
    count = builder.phi(word)
    now = builder.load_atomic(phase, "acquire", 8)
    builder.cbranch(builder.icmp_signed("==", now, before), wait, done)
    builder.position_at_end(wait)
    _emit_pause(builder)
    following = builder.add(count, word(1))
    with builder.if_then(builder.icmp_signed(">", following, word(SPINS)), likely=False):
        builder.call(yield_core, [])
    count.add_incoming(word(0), entry)
    count.add_incoming(following, builder.basic_block)
    builder.branch(look)
    builder.position_at_end(done)


@intrinsic
def _meet(typing_context, words, at, threads):
    def codegen(context, builder, signature, args):
        array = context.make_array(words)(context, builder, args[0])
        first = builder.gep(array.data, [args[1]])
        place = [builder.gep(first, [ir.IntType(64)(offset)]) for offset in (ARRIVED, PHASE)]
        with builder.if_then(builder.icmp_signed(">", args[2], ir.IntType(64)(1))):
            _emit_barrier(builder, *place, args[2])
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64), codegen


def _plain_meet(words, at, threads):
    if threads > 1:
        raise RuntimeError("plain Python code has no teams")


meet: Callable[..., Any] = _plain_meet if config.DISABLE_JIT else _meet
"""meet(words, at, threads): returns when all threads have called it with the barrier that lies in
the int64 array `words` from `at` on. What each wrote before, all see after."""
