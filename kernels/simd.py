"""Explicit vectors, where the compiler's own would not do: the tile of the matrix product.

Numba's compiler vectorises a plain loop nest, but it cannot keep a block of the result in
registers over the whole inner dimension. This tile does: `TILE_ROWS` × `TILE_VECTORS`
accumulators, one broadcast and a few fused multiply-adds for each of them a step. Its shape
fills the vector registers that the processor's features promise, and no more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def host_features() -> set[str]:
    """Names of the features that Numba compiles for, such as "avx2"."""
    if config.CPU_FEATURES is not None:
        given = config.CPU_FEATURES.split(",")
    else:
        given = binding.get_host_cpu_features().flatten().split(",")
    return {name[1:] for name in given if name.startswith("+")}


def tile_shape(features: set[str]) -> tuple[int, int, int]:
    """Bytes of a vector, rows of the tile, vectors of a row.

    rows × vectors accumulators, one row of b and one broadcast must fit the registers: 32 of
    512 bits (AVX-512), 16 of 256 (AVX2), 32 of 128 (NEON) or 16 of 128 (SSE2). A pointer to
    each row must fit the general ones, of which x86 has 16.
    """
    if "avx512f" in features:
        return 64, 8, 3
    if "avx2" in features and "fma" in features:
        return 32, 6, 2
    if "neon" in features:
        return 16, 8, 3
    return 16, 6, 2


VECTOR_BYTES, TILE_ROWS, TILE_VECTORS = tile_shape(host_features())

HAS_FMA = bool({"fma", "avx512f", "neon"} & host_features())
"""Without it a fused multiply-add would be a call into the C library for every lane."""

TILE_BYTES = TILE_VECTORS * VECTOR_BYTES
"""Bytes of a row of the tile."""


@intrinsic
def _scratch(typing_context, like, size):
    """An uninitialised vector of `size` bytes on the stack, aligned to 64 bytes."""
    view = types.Array(like.dtype, 1, "C")
    size_bytes = size.literal_value if isinstance(size, types.IntegerLiteral) else None
    if size_bytes is None:
        return None

    def codegen(context, builder, signature, args):
        element = context.get_data_type(like.dtype)
        count = size_bytes // context.get_abi_sizeof(element)
        # Who holds so much of the stack must not be inlined into somebody's loop.
        builder.function.attributes.add("noinline")
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(element, count))
            memory.align = 64
        array = context.make_array(view)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        populate_array(
            array,
            data=builder.bitcast(memory, element.as_pointer()),
            shape=[context.get_constant(types.intp, count)],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
            parent=None,
        )
        return array._getvalue()

    return view(like, size), codegen


class TileBuilder:
    """Emits the tile: c[i, j] += Σₚ a[i, p]·b[p, j], accumulated in registers."""

    def __init__(self, context, builder, element, lanes):
        self.builder, self.element, self.lanes = builder, element, lanes
        self.index = ir.IntType(64)
        self.vector = ir.VectorType(element, lanes)
        self.size = context.get_abi_sizeof(element)
        name = f"llvm.fma.v{lanes}f{8 * self.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def multiply_add(self, a, b, total):
        if HAS_FMA:
            return self.builder.call(self.fma, [a, b, total])
        return self.builder.fadd(self.builder.fmul(a, b), total)

    def constant(self, value):
        return ir.Constant(self.index, value)

    def vector_at(self, pointer, offset):
        place = self.builder.gep(pointer, [offset])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, place):
        value = self.builder.load(place)
        value.align = self.size
        return value

    def store(self, value, place):
        self.builder.store(value, place).align = self.size

    def broadcast(self, scalar):
        lane = ir.IntType(32)
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(lane, 0))
        zeros = ir.Constant(ir.VectorType(lane, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def rows_of(self, a, stride, rows):
        """A pointer to each row of a; beyond the last row, to the last: read, and not used."""
        last = self.builder.sub(rows, self.constant(1))
        pointers = []
        for i in range(TILE_ROWS):
            inside = self.builder.icmp_signed("<", self.constant(i), rows)
            row = self.builder.select(inside, self.constant(i), last)
            pointers.append(self.builder.gep(a, [self.builder.mul(row, stride)]))
        return pointers

    def accumulate(self, rows, a_step, b, b_step, k):
        """The sums over p = 0…k-1 (k ≥ 1), as TILE_ROWS × TILE_VECTORS vectors."""
        builder, before = self.builder, self.builder.basic_block
        loop, after = builder.append_basic_block("tile"), builder.append_basic_block("tile.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        p = builder.phi(self.index)
        p.add_incoming(self.constant(0), before)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        sums = [[builder.phi(self.vector) for _ in range(TILE_VECTORS)] for _ in rows]
        b_row = builder.gep(b, [builder.mul(p, b_step)])
        columns = [
            self.load(self.vector_at(b_row, self.constant(j * self.lanes)))
            for j in range(TILE_VECTORS)
        ]
        offset = builder.mul(p, a_step)
        added = []
        for row, row_sums in zip(rows, sums, strict=True):
            factor = self.broadcast(builder.load(builder.gep(row, [offset])))
            added.append(
                [
                    self.multiply_add(factor, column, total)
                    for column, total in zip(columns, row_sums, strict=True)
                ]
            )
        following = builder.add(p, self.constant(1))
        p.add_incoming(following, loop)
        for row_sums, row_added in zip(sums, added, strict=True):
            for total, new in zip(row_sums, row_added, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, k), loop, after)
        builder.position_at_end(after)
        return added

    def add_whole(self, sums, c, c_stride):
        for i, row_sums in enumerate(sums):
            row = self.builder.gep(c, [self.builder.mul(c_stride, self.constant(i))])
            for j, total in enumerate(row_sums):
                place = self.vector_at(row, self.constant(j * self.lanes))
                self.store(self.builder.fadd(self.load(place), total), place)

    def add_part(self, sums, c, c_stride, rows, columns):
        """Only the first `rows` × `columns`: by way of the stack, entry by entry."""
        builder, width = self.builder, TILE_VECTORS * self.lanes
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(self.element, TILE_ROWS * width))
        buffer = builder.bitcast(memory, self.element.as_pointer())
        for i, row_sums in enumerate(sums):
            for j, total in enumerate(row_sums):
                place = self.vector_at(buffer, self.constant(i * width + j * self.lanes))
                self.store(total, place)
        with cgutils.for_range(builder, rows) as i, cgutils.for_range(builder, columns) as j:
            source = builder.add(builder.mul(i.index, self.constant(width)), j.index)
            target = builder.gep(c, [builder.add(builder.mul(i.index, c_stride), j.index)])
            total = builder.load(builder.gep(buffer, [source]))
            builder.store(builder.fadd(builder.load(target), total), target)


@intrinsic
def _tile(
    typing_context, a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns
):
    def codegen(context, builder, signature, args):
        element = context.get_data_type(a.dtype)
        emit = TileBuilder(
            context, builder, element, VECTOR_BYTES // context.get_abi_sizeof(element)
        )

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        pointers = emit.rows_of(data(0), args[2], args[11])
        sums = emit.accumulate(pointers, args[3], data(4), args[6], args[7])
        is_whole = builder.and_(
            builder.icmp_signed(">=", args[11], emit.constant(TILE_ROWS)),
            builder.icmp_signed(">=", args[12], emit.constant(TILE_VECTORS * emit.lanes)),
        )
        target = data(8)
        with builder.if_else(is_whole) as (whole, part):
            with whole:
                emit.add_whole(sums, target, args[10])
            with part:
                emit.add_part(sums, target, args[10], args[11], args[12])
        return context.get_dummy_value()

    i = types.int64
    return types.void(a, i, i, i, b, i, i, i, c, i, i, i, i), codegen


def _plain_scratch(like, size):
    return np.empty(size // like.itemsize, like.dtype)


def _plain_tile(a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns):
    for i in range(rows):
        for j in range(columns):
            total = c[c_at + i * c_row + j]
            for p in range(k):
                total += a[a_at + i * a_row + p * a_step] * b[b_at + p * b_step + j]
            c[c_at + i * c_row + j] = total


scratch: Callable[..., Any] = _plain_scratch if config.DISABLE_JIT else _scratch
"""scratch(like, size): a vector of `size` bytes (a constant) and the dtype of `like`."""

tile: Callable[..., Any] = _plain_tile if config.DISABLE_JIT else _tile
"""tile(a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns)

c[c_at + i·c_row + j] += Σₚ a[a_at + i·a_row + p·a_step] · b[b_at + p·b_step + j] for p < k
(k ≥ 1), i < rows ≤ TILE_ROWS and j < columns ≤ TILE_BYTES/itemsize. A whole row of the tile
is read from b even where `columns` is less."""
