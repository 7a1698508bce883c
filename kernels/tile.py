"""The register tile of the matrix product.

The compiler vectorises a plain loop nest, but it cannot keep a block of the result in registers
over the whole inner dimension. The tile does: up to `TILE_ROWS` × `TILE_VECTORS` accumulators,
one broadcast and a few fused multiply-adds for each of them a step. Its shape fills the
vector registers and no more. Fewer rows and fewer vectors have loops of their own, so that
nothing is multiplied in vain, and the last vector of a narrower tile is masked.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.simd import HAS_MASKS, TILE_ROWS, TILE_VECTORS, VECTOR_BYTES, VectorBuilder

SET, SET_BIAS, ADD = range(3)
"""What the sums are added to: nothing, a bias for each column, or c."""

CACHE_LINE = 64
"""Bytes."""

PREFETCH_DEPTH = 128
"""From so long sums on c is fetched meanwhile: shorter ones leave no time for it."""

MASKS_ARE_FREE = VECTOR_BYTES == 64
"""AVX-512 masks a vector at no cost; elsewhere a whole tile has a loop without masks."""


class TileBuilder(VectorBuilder):
    """Emits the tile for one number of rows and of vectors.

    `mask` tells the lanes of the last vector that count; None means all.
    """

    def accumulate(self, a_rows, a_step, b, b_step, k, vectors, mask):
        """The sums over p = 0…k-1 (k ≥ 1), as rows × vectors."""
        builder, before = self.builder, self.builder.basic_block
        loop, after = builder.append_basic_block("tile"), builder.append_basic_block("tile.end")
        builder.branch(loop)
        builder.position_at_end(loop)
        p = builder.phi(self.index)
        p.add_incoming(self.constant(0), before)
        sums = [[builder.phi(self.vector) for _ in range(vectors)] for _ in a_rows]
        b_row = builder.gep(b, [builder.mul(p, b_step)])
        # Without masks whoever calls has filled the last vector up.
        columns = self.load_row(b_row, vectors, mask if HAS_MASKS else None)
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

    def load_row(self, first, vectors, mask):
        places = [self.at(first, self.constant(j * self.lanes)) for j in range(vectors)]
        row = [self.load(place) for place in places[:-1]]
        last = self.load(places[-1]) if mask is None else self.load_part(places[-1], mask)
        return [*row, last]

    def store_row(self, values, first, mask):
        places = [self.at(first, self.constant(j * self.lanes)) for j in range(len(values))]
        for value, place in zip(values[:-1], places[:-1], strict=True):
            self.store(value, place)
        if mask is None:
            self.store(values[-1], places[-1])
        else:
            self.store_part(values[-1], places[-1], mask)

    def write(self, sums, c, c_row, base, base_row, mask, epilogue):
        """c = max(floor, keep·base + scale·sums), where `epilogue` is (keep, scale, floor)."""
        keep, scale, floor = map(self.broadcast, epilogue)
        for i, row_sums in enumerate(sums):
            base_values = self.load_row(self.row(base, base_row, i), len(row_sums), mask)
            values = []
            for before, total in zip(base_values, row_sums, strict=True):
                value = self.multiply_add(scale, total, self.builder.fmul(keep, before))
                # NaN stays: the floor is not above it. The processor has one instruction for this.
                is_below = self.builder.fcmp_ordered(">", floor, value)
                values.append(self.builder.select(is_below, floor, value))
            self.store_row(values, self.row(c, c_row, i), mask)

    def prefetch(self, c, c_row, rows, vectors):
        """Fetch the block of c while the sums are made: nothing else foretells where it lies."""
        place = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place] + [ir.IntType(32)] * 3)
        fetch = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        to_write, keep_near, data = (ir.Constant(ir.IntType(32), value) for value in (1, 3, 1))
        for i in range(rows):
            for j in range(0, vectors * self.lanes * self.size, CACHE_LINE):
                line = self.builder.gep(self.row(c, c_row, i), [self.constant(j // self.size)])
                line = self.builder.bitcast(line, place)
                self.builder.call(fetch, [line, to_write, keep_near, data])

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


def shapes():
    """Rows, vectors and whether all lanes count, for each loop of the tile."""
    for rows in range(1, TILE_ROWS + 1):
        for vectors in range(1, TILE_VECTORS + 1):
            yield rows, vectors, False
        if not MASKS_ARE_FREE:
            yield rows, TILE_VECTORS, True


@intrinsic
def _tile(
    typing_context, a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns,
    bias, bias_at, mode, keep, scale, floor,
):  # fmt: skip
    def codegen(context, builder, signature, args):
        emit = TileBuilder(context, builder, a.dtype)

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        a_first, a_row, a_step, b_first, b_step = data(0), args[2], args[3], data(4), args[6]
        k, c_first, c_row, rows, columns = args[7], data(8), args[10], args[11], args[12]
        base, base_row = emit.base(c_first, c_row, data(13), args[15])
        lanes, whole_width = emit.constant(emit.lanes), emit.constant(TILE_VECTORS * emit.lanes)
        vectors_before = builder.sdiv(builder.sub(columns, emit.constant(1)), lanes)
        mask = emit.first_lanes(builder.sub(columns, builder.mul(vectors_before, lanes)))
        # One number for each loop: rows, and the vectors before the last; one more, if whole.
        choice = builder.add(builder.mul(rows, emit.constant(TILE_VECTORS + 1)), vectors_before)
        if not MASKS_ARE_FREE:
            is_whole = builder.icmp_signed("==", columns, whole_width)
            choice = builder.add(choice, builder.zext(is_whole, emit.index))
        is_long = builder.icmp_signed(">=", k, emit.constant(PREFETCH_DEPTH))
        done = builder.append_basic_block("tile.done")
        switch = builder.switch(choice, done)
        for count, vectors, is_whole in shapes():
            block = builder.append_basic_block(f"tile.{count}.{vectors}")
            number = count * (TILE_VECTORS + 1) + vectors - 1 + is_whole
            switch.add_case(emit.constant(number), block)
            builder.position_at_end(block)
            a_rows = [emit.row(a_first, a_row, i) for i in range(count)]
            its_mask = None if is_whole else mask
            with builder.if_then(is_long):
                emit.prefetch(c_first, c_row, count, vectors)
            sums = emit.accumulate(a_rows, a_step, b_first, b_step, k, vectors, its_mask)
            emit.write(sums, c_first, c_row, base, base_row, its_mask, args[16:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    i, number = types.int64, a.dtype
    arguments = (a, i, i, i, b, i, i, i, c, i, i, i, i, bias, i, i, number, number, number)
    return types.void(*arguments), codegen


def _plain_tile(
    a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns, bias, bias_at, mode,
    keep, scale, floor,
):  # fmt: skip
    for i in range(rows):
        for j in range(columns):
            at = c_at + i * c_row + j
            total = a.dtype.type(0)
            for p in range(k):
                total += a[a_at + i * a_row + p * a_step] * b[b_at + p * b_step + j]
            before = (a.dtype.type(0), bias[bias_at + j] if mode == SET_BIAS else 0, c[at])[mode]
            value = keep * before + scale * total
            c[at] = floor if floor > value else value


tile: Callable[..., Any] = _plain_tile if config.DISABLE_JIT else _tile
"""tile(a, a_at, a_row, a_step, b, b_at, b_step, k, c, c_at, c_row, rows, columns, bias, bias_at,
mode, keep, scale, floor)

c[c_at + i·c_row + j] = max(floor, keep·before + scale·Σₚ a[a_at + i·a_row + p·a_step] ·
b[b_at + p·b_step + j]) for p < k (k ≥ 1), i < rows ≤ TILE_ROWS and j < columns ≤ those of the
tile. `before` is 0 with `mode` SET, bias[bias_at + j] with SET_BIAS, c itself with ADD. Where the
processor has no masks (`HAS_MASKS`), whole vectors are read from b, past its last column."""
