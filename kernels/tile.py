"""The register tile of the matrix product.

The compiler vectorises a plain loop nest, but it cannot keep a block of the result in registers
over the whole inner dimension. The tile does: up to `TILE_ROWS` × `TILE_VECTORS` accumulators,
one broadcast and a few fused multiply-adds for each of them a step. Its shape fills the
vector registers and no more. Fewer rows have loops of their own, so that nothing is multiplied
in vain.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.simd import TILE_ROWS, TILE_VECTORS, VectorBuilder

ADD, SET, SET_BIAS = range(3)
"""What becomes of the sums: added to c, written, or written with the bias added."""


class TileBuilder(VectorBuilder):
    """Emits the tile for one number of rows and of vectors."""

    def accumulate(self, a_rows, a_step, b, b_step, k, vectors):
        """The sums over p = 0…k-1 (k ≥ 1), as rows × vectors."""
        builder, before = self.builder, self.builder.basic_block
        loop, after = builder.append_basic_block("tile"), builder.append_basic_block("tile.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        p = builder.phi(self.index)
        p.add_incoming(self.constant(0), before)
        sums = [[builder.phi(self.vector) for _ in range(vectors)] for _ in a_rows]
        b_row = builder.gep(b, [builder.mul(p, b_step)])
        columns = [self.load(self.at(b_row, self.constant(j * self.lanes))) for j in range(vectors)]
        offset = builder.mul(p, a_step)
        added = []
        for row, row_sums in zip(a_rows, sums, strict=True):
            factor = self.broadcast(builder.load(builder.gep(row, [offset])))
            added.append(
                [
                    self.multiply_add(factor, column, total)
                    for column, total in zip(columns, row_sums, strict=True)
                ]
            )
        following = builder.add(p, self.constant(1))
        p.add_incoming(following, loop)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        for row_sums, row_added in zip(sums, added, strict=True):
            for total, new in zip(row_sums, row_added, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, k), loop, after)
        builder.position_at_end(after)
        return added

    def write(self, sums, c, c_row, base, base_row):
        """c = base + sums, whole vectors of it."""
        for i, row_sums in enumerate(sums):
            row, row_base = self.row(c, c_row, i), self.row(base, base_row, i)
            for j, total in enumerate(row_sums):
                offset = self.constant(j * self.lanes)
                value = self.builder.fadd(self.load(self.at(row_base, offset)), total)
                self.store(value, self.at(row, offset))

    def keep(self, sums, buffer):
        """Leave the sums in the buffer, whose rows are as wide as the tile."""
        for i, row_sums in enumerate(sums):
            for j, total in enumerate(row_sums):
                place = (i * TILE_VECTORS + j) * self.lanes
                self.store(total, self.at(buffer, self.constant(place)))

    def write_part(self, buffer, c, c_row, base, base_row, rows, columns):
        """c = base + buffer, entry by entry."""
        builder, width = self.builder, self.constant(TILE_VECTORS * self.lanes)
        with cgutils.for_range(builder, rows) as i, cgutils.for_range(builder, columns) as j:

            def place(first, stride):
                return builder.gep(first, [builder.add(builder.mul(i.index, stride), j.index)])

            total = builder.load(place(buffer, width))
            before = builder.load(place(base, base_row))
            builder.store(builder.fadd(before, total), place(c, c_row))

    def buffer(self):
        """Room on the stack for the sums."""
        size = TILE_ROWS * TILE_VECTORS * self.lanes
        with self.builder.goto_entry_block():
            memory = self.builder.alloca(ir.ArrayType(self.element, size))
        return self.builder.bitcast(memory, self.element.as_pointer())

    def row(self, pointer, stride, i):
        return self.builder.gep(pointer, [self.builder.mul(stride, self.constant(i))])

    def zeros(self):
        """As many zeros as the tile has columns."""
        count = TILE_VECTORS * self.lanes
        kind = ir.ArrayType(self.element, count)
        memory = cgutils.global_constant(
            self.builder, f"zeros.{self.element}", ir.Constant(kind, None)
        )
        return self.builder.bitcast(memory, self.element.as_pointer())

    def base(self, c, c_row, bias, mode):
        """What the sums are added to, and how far its rows are apart."""
        builder = self.builder
        is_add = builder.icmp_signed("==", mode, self.constant(ADD))
        has_bias = builder.icmp_signed("==", mode, self.constant(SET_BIAS))
        first = builder.select(has_bias, bias, self.zeros())
        row = builder.select(is_add, c_row, self.constant(0))
        return builder.select(is_add, c, first), row


@intrinsic
def _tile(
    typing_context, a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns,
    bias, bias_at, mode,
):  # fmt: skip
    def codegen(context, builder, signature, args):
        emit = TileBuilder(context, builder, a.dtype)

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        a_first, a_row, a_step, b_first, b_step = data(0), args[2], args[3], data(4), args[6]
        k, c_first, c_row, rows, columns = args[7], data(8), args[10], args[11], args[12]
        base, base_row = emit.base(c_first, c_row, data(13), args[15])
        buffer = emit.buffer()
        part = builder.append_basic_block("tile.part")
        done = builder.append_basic_block("tile.done")
        # Few columns leave half of a whole tile's work out; in a lower one that is little.
        is_narrow = builder.and_(
            builder.icmp_signed("<=", columns, emit.constant(emit.lanes)),
            builder.icmp_signed("==", rows, emit.constant(TILE_ROWS)),
        )
        choice = builder.select(is_narrow, emit.constant(0), rows)
        switch = builder.switch(choice, done)
        shapes = [(count, TILE_VECTORS) for count in range(1, TILE_ROWS + 1)] + [(TILE_ROWS, 1)]
        for count, vectors in shapes:
            block = builder.append_basic_block(f"tile.{count}.{vectors}")
            switch.add_case(emit.constant(count if vectors > 1 else 0), block)
            builder.position_at_end(block)
            a_rows = [emit.row(a_first, a_row, i) for i in range(count)]
            sums = emit.accumulate(a_rows, a_step, b_first, b_step, k, vectors)
            width = emit.constant(vectors * emit.lanes)
            with builder.if_else(builder.icmp_signed(">=", columns, width)) as (whole, edge):
                with whole:
                    emit.write(sums, c_first, c_row, base, base_row)
                    builder.branch(done)
                with edge:
                    emit.keep(sums, buffer)
                    builder.branch(part)
            builder.unreachable()
        builder.position_at_end(part)
        emit.write_part(buffer, c_first, c_row, base, base_row, rows, columns)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    i = types.int64
    return types.void(a, i, i, i, b, i, i, i, c, i, i, i, i, bias, i, i), codegen


def _plain_tile(
    a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns, bias, bias_at, mode
):
    for i in range(rows):
        for j in range(columns):
            at = c_at + i * c_row + j
            total = c[at] if mode == ADD else a.dtype.type(0)
            if mode == SET_BIAS:
                total += bias[bias_at + j]
            for p in range(k):
                total += a[a_at + i * a_row + p * a_step] * b[b_at + p * b_step + j]
            c[at] = total


tile: Callable[..., Any] = _plain_tile if config.DISABLE_JIT else _tile
"""tile(a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns, bias, bias_at,
mode)

c[c_at + i·c_row + j] (+)= Σₚ a[a_at + i·a_row + p·a_step] · b[b_at + p·b_step + j] for p < k
(k ≥ 1), i < rows ≤ TILE_ROWS and j < columns; with `mode` ADD the sums are added to c, with
SET they replace it, with SET_BIAS bias[bias_at + j] is added to them. A whole row of the tile is
read from b even where `columns` is less."""
