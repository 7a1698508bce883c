"""A tile of dot products, for operands whose rows both lie along the sum.

The register tile broadcasts entries of a over rows of b; where b is transposed its squares must
first be turned over. With few rows of a that costs more than it brings. Here a vector takes
neighbouring terms of a sum instead: `TILE_ROWS` × `DOT_COLUMNS` sums in flight, each added up
over the lanes at the end.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from kernels.simd import TILE_ROWS
from kernels.tile import TileBuilder, _plain_tile

DOT_COLUMNS = 4


class DotsBuilder(TileBuilder):
    """Emits the tile for one number of rows."""

    def accumulate_dots(self, a_rows, b_rows, k):
        """Σ a_rows[i][p]·b_rows[j][p] for p < k, lane by lane, as rows × columns of vectors."""
        builder, lanes = self.builder, self.constant(self.lanes)
        rest = builder.srem(k, lanes)
        whole = builder.sub(k, rest)
        before = builder.basic_block
        head, loop, tail, part, after = (
            builder.append_basic_block(f"dots.{name}")
            for name in ("head", "loop", "tail", "part", "end")
        )
        builder.branch(head)
        builder.position_at_end(head)
        p = builder.phi(self.index)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        sums = [[builder.phi(self.vector) for _ in b_rows] for _ in a_rows]
        builder.cbranch(builder.icmp_signed("<", p, whole), loop, tail)
        builder.position_at_end(loop)
        added = self.add_products(a_rows, b_rows, p, sums, None)
        p.add_incoming(self.constant(0), before)
        p.add_incoming(builder.add(p, lanes), loop)
        builder.branch(head)
        builder.position_at_end(tail)
        builder.cbranch(builder.icmp_signed("==", rest, self.constant(0)), after, part)
        builder.position_at_end(part)
        last = self.add_products(a_rows, b_rows, p, sums, self.first_lanes(rest))
        builder.branch(after)
        builder.position_at_end(after)
        results = []
        for row_sums, row_added, row_last in zip(sums, added, last, strict=True):
            for total, new, end in zip(row_sums, row_added, row_last, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(new, loop)
                result = builder.phi(self.vector)
                result.add_incoming(total, tail)
                result.add_incoming(end, part)
                results.append(result)
        width = len(b_rows)
        return [results[i : i + width] for i in range(0, len(results), width)]

    def add_products(self, a_rows, b_rows, p, sums, mask):
        """The sums with the products of the vectors that begin at p."""

        def load(row):
            place = self.at(row, p)
            return self.load(place) if mask is None else self.load_part(place, mask)

        columns = [load(row) for row in b_rows]
        return [
            [self.multiply_add(a, b, total) for b, total in zip(columns, row_sums, strict=True)]
            for a, row_sums in zip(map(load, a_rows), sums, strict=True)
        ]

    def lane_sums(self, vectors):
        """The sum over the lanes of each of the vectors, in order, as one short vector.

        Halves of two vectors are added at a time, so that all lanes keep at work.
        """
        parts = self.lanes  # lanes that belong to one sum
        while len(vectors) > 1:
            vectors = [
                self.halved(a, b, parts) for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            parts = max(1, parts // 2)
        (total,) = vectors
        while parts > 1:
            total = self.halved(total, None, parts)
            parts //= 2
        return total

    def halved(self, a, b, parts):
        """Half as many parts of each sum in a, and then in b; where parts is 1, all of both."""
        lanes = range(a.type.count if b is None else 2 * a.type.count)
        b = a if b is None else b
        if parts == 1:
            return self.shuffle(a, b, list(lanes))
        first = [i for i in lanes if i % parts < parts // 2]
        second = [i + parts // 2 for i in first]
        return self.builder.fadd(self.shuffle(a, b, first), self.shuffle(a, b, second))


@intrinsic
def _dots(
    typing_context, a, a_at, a_row, b, b_at, b_row, k, c, c_at, c_row, rows, columns,
    bias, bias_at, mode, keep, scale, floor,
):  # fmt: skip
    def codegen(context, builder, signature, args):
        emit = DotsBuilder(context, builder, a.dtype)
        narrow = DotsBuilder(context, builder, a.dtype, lanes=DOT_COLUMNS)

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        a_first, a_row, b_first, b_row, k = data(0), args[2], data(3), args[5], args[6]
        c_first, c_row, rows, columns = data(7), args[9], args[10], args[11]
        base, base_row = emit.base(c_first, c_row, data(12), args[14])
        b_rows = emit.rows_of(b_first, b_row, DOT_COLUMNS, columns)
        mask = narrow.first_lanes(columns)
        done = builder.append_basic_block("dots.done")
        switch = builder.switch(rows, done)
        for count in range(1, TILE_ROWS + 1):
            block = builder.append_basic_block(f"dots.{count}")
            switch.add_case(emit.constant(count), block)
            builder.position_at_end(block)
            a_rows = [emit.row(a_first, a_row, i) for i in range(count)]
            sums = emit.accumulate_dots(a_rows, b_rows, k)
            totals = [[emit.lane_sums(row_sums)] for row_sums in sums]
            narrow.write(totals, c_first, c_row, base, base_row, mask, args[15:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    i, number = types.int64, a.dtype
    arguments = (a, i, i, b, i, i, i, c, i, i, i, i, bias, i, i, number, number, number)
    return types.void(*arguments), codegen


def _plain_dots(
    a, a_at, a_row, b, b_at, b_row, k, c, c_at, c_row, rows, columns, bias, bias_at, mode,
    keep, scale, floor,
):  # fmt: skip
    for j in range(columns):
        _plain_tile(
            a, a_at, a_row, 1, b[b_at + j * b_row :], 0, 1, k, c, c_at + j, c_row, rows, 1,
            bias, bias_at + j, mode, keep, scale, floor,
        )  # fmt: skip


dots: Callable[..., Any] = _plain_dots if config.DISABLE_JIT else _dots
"""dots(a, a_at, a_row, b, b_at, b_row, k, c, c_at, c_row, rows, columns, bias, bias_at, mode,
keep, scale, floor)

As `tile`, with b[b_at + j·b_row + p] for p, j: columns ≤ DOT_COLUMNS dot products for each of
rows ≤ TILE_ROWS. a_step is 1."""
