"""Explicit vectors, where the compiler's own would not do: what the processor has, and its use.

Shapes are chosen by the features that the processor promises, never by its name.
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


def _scratch_codegen(view, size_bytes):
    def codegen(context, builder, signature, args):
        element = context.get_data_type(view.dtype)
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

    return codegen


@intrinsic
def _scratch(typing_context, like, size):
    if not isinstance(size, types.IntegerLiteral):
        return None
    view = types.Array(like.dtype, 1, "C")
    return view(like, size), _scratch_codegen(view, size.literal_value)


@intrinsic
def _double_scratch(typing_context, size):
    if not isinstance(size, types.IntegerLiteral):
        return None
    view = types.Array(types.float64, 1, "C")
    return view(size), _scratch_codegen(view, size.literal_value)


class VectorBuilder:
    """Emits what explicit vectors of one dtype need."""

    def __init__(self, context, builder, dtype):
        self.builder = builder
        self.element = context.get_data_type(dtype)
        self.size = context.get_abi_sizeof(self.element)
        self.lanes = VECTOR_BYTES // self.size
        self.index = ir.IntType(64)
        self.vector = ir.VectorType(self.element, self.lanes)

    def constant(self, value):
        return ir.Constant(self.index, value)

    def at(self, pointer, offset):
        """The vector that begins `offset` elements after `pointer`."""
        place = self.builder.gep(pointer, [offset])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, place):
        value = self.builder.load(place)
        value.align = self.size
        return value

    def store(self, value, place):
        self.builder.store(value, place).align = self.size

    def shuffle(self, a, b, lanes):
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, order)

    def broadcast(self, scalar):
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        return self.shuffle(one, undefined, [0] * self.lanes)

    def multiply_add(self, a, b, total):
        if not HAS_FMA:
            return self.builder.fadd(self.builder.fmul(a, b), total)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.lanes}f{8 * self.size}"
        fma = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(fma, [a, b, total])

    def rows_of(self, first, stride, count, filled):
        """Pointers to `count` rows; from row `filled` on to the last one before it."""
        last = self.builder.sub(filled, self.constant(1))
        pointers = []
        for i in range(count):
            inside = self.builder.icmp_signed("<", self.constant(i), filled)
            row = self.builder.select(inside, self.constant(i), last)
            pointers.append(self.builder.gep(first, [self.builder.mul(row, stride)]))
        return pointers

    def transposed(self, rows):
        """The columns of a square of `lanes` vectors, in log₂(lanes) rounds of exchanges."""
        width = self.lanes // 2
        while width:
            exchanged = list(rows)
            for i in range(self.lanes):
                if not i & width:
                    a, b = rows[i], rows[i + width]
                    low = [
                        j if not j & width else self.lanes + j - width for j in range(self.lanes)
                    ]
                    high = [
                        j + width if not j & width else self.lanes + j for j in range(self.lanes)
                    ]
                    exchanged[i] = self.shuffle(a, b, low)
                    exchanged[i + width] = self.shuffle(a, b, high)
            rows, width = exchanged, width // 2
        return rows


@intrinsic
def _transpose(typing_context, source, at, step, filled, target, place, target_step):
    def codegen(context, builder, signature, args):
        emit = VectorBuilder(context, builder, source.dtype)

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        rows = emit.rows_of(data(0), args[2], emit.lanes, args[3])
        square = [emit.load(emit.at(row, emit.constant(0))) for row in rows]
        first = data(4)
        for i, column in enumerate(emit.transposed(square)):
            emit.store(column, emit.at(first, builder.mul(args[6], emit.constant(i))))
        return context.get_dummy_value()

    i = types.int64
    return types.void(source, i, i, i, target, i, i), codegen


def _copy_codegen(count_of):
    def codegen(context, builder, signature, args):
        emit = VectorBuilder(context, builder, signature.args[0].dtype)
        vector = ir.VectorType(emit.element, count_of(emit)).as_pointer()

        def place(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.bitcast(builder.gep(array.data, [args[position + 1]]), vector)

        emit.store(emit.load(place(0)), place(2))
        return context.get_dummy_value()

    return codegen


@intrinsic
def _copy_row(typing_context, source, at, target, place):
    signature = types.void(source, types.int64, target, types.int64)
    return signature, _copy_codegen(lambda emit: TILE_VECTORS * emit.lanes)


@intrinsic
def _copy_column(typing_context, source, at, target, place):
    return types.void(source, types.int64, target, types.int64), _copy_codegen(lambda _: TILE_ROWS)


def _plain_copy_row(source, at, target, place):
    count = TILE_BYTES // source.itemsize
    target[place : place + count] = source[at : at + count]


def _plain_copy_column(source, at, target, place):
    target[place : place + TILE_ROWS] = source[at : at + TILE_ROWS]


def _plain_transpose(source, at, step, filled, target, place, target_step):
    lanes = VECTOR_BYTES // source.itemsize
    square = [source[at + min(i, filled - 1) * step :][:lanes].copy() for i in range(lanes)]
    for j in range(lanes):
        for i in range(lanes):
            target[place + j * target_step + i] = square[i][j]


def _plain_scratch(like, size):
    return np.empty(size // like.itemsize, like.dtype)


def _plain_double_scratch(size):
    return np.empty(size // 8)


scratch: Callable[..., Any] = _plain_scratch if config.DISABLE_JIT else _scratch
"""scratch(like, size): an uninitialised vector on the stack, of `size` bytes (a constant) and
the dtype of `like`, aligned to 64 bytes."""

double_scratch: Callable[..., Any] = (
    _plain_double_scratch if config.DISABLE_JIT else _double_scratch
)
"""double_scratch(size): the same in float64."""

transpose: Callable[..., Any] = _plain_transpose if config.DISABLE_JIT else _transpose
"""transpose(source, at, step, filled, target, place, target_step)

For a square of as many rows as a vector has lanes, target[place + j·target_step + i] =
source[at + i·step + j]; rows from `filled` (≥ 1) on repeat the last one before. Columns are
written whole and in order, each over what the one before wrote beyond target_step."""

copy_row: Callable[..., Any] = _plain_copy_row if config.DISABLE_JIT else _copy_row
"""copy_row(source, at, target, place): as many elements as the tile has columns."""

copy_column: Callable[..., Any] = _plain_copy_column if config.DISABLE_JIT else _copy_column
"""copy_column(source, at, target, place): as many elements as the tile has rows."""
