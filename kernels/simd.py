"""Explicit vectors, where the compiler's own would not do: what the processor has, and its use.

Shapes are chosen by the features that the processor promises and by its caches, never by its name.
"""

import re
from collections.abc import Callable
from pathlib import Path
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
    each row must fit the general ones, of which x86 has 16. The wider the tile, the fewer loads
    for each multiply-add.
    """
    if "avx512f" in features or "neon" in features:
        return (64 if "avx512f" in features else 16), 6, 4
    if "avx2" in features and "fma" in features:
        return 32, 6, 2
    return 16, 6, 2


VECTOR_BYTES, TILE_ROWS, TILE_VECTORS = tile_shape(host_features())

HAS_FMA = bool({"fma", "avx512f", "neon"} & host_features())
"""Without it a fused multiply-add would be a call into the C library for every lane."""

HAS_MASKS = bool({"avx512f", "avx2"} & host_features())
"""Whether a vector can be loaded in part. Elsewhere each lane would be a branch."""

TILE_BYTES = TILE_VECTORS * VECTOR_BYTES
"""Bytes of a row of the tile."""

SECOND_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
USUAL_SECOND_CACHE = 2**20


def second_cache_bytes(told: Path = SECOND_CACHE) -> int:
    """The size of a core's second cache, from what Linux tells of it; 1 MiB where nothing does."""
    try:
        number, unit = re.fullmatch(r"(\d+)([KM]?)\s*", told.read_text()).groups()
    except (OSError, AttributeError):
        return USUAL_SECOND_CACHE
    return int(number) * {"": 1, "K": 2**10, "M": 2**20}[unit]


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
    """Emits what explicit vectors of one dtype need, as wide as the registers by default."""

    def __init__(self, context, builder, dtype, lanes=None):
        self.builder = builder
        self.element = context.get_data_type(dtype)
        self.size = context.get_abi_sizeof(self.element)
        self.lanes = lanes or VECTOR_BYTES // self.size
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

    def first_lanes(self, count):
        """The mask of the first `count` lanes."""
        kind = ir.VectorType(self.index, self.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(undefined, count, ir.Constant(ir.IntType(32), 0))
        counts = self.shuffle(one, undefined, [0] * self.lanes)
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), counts)

    def masked(self, verb, result, arguments):
        """Call llvm.masked.load or .store of one vector."""
        name = f"llvm.masked.{verb}.v{self.lanes}f{8 * self.size}.p0"
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def load_part(self, place, mask):
        """The lanes of the mask, zeros elsewhere; nothing else is touched."""
        zeros = ir.Constant(self.vector, [0.0] * self.lanes)
        align = ir.Constant(ir.IntType(32), self.size)
        return self.masked("load", self.vector, [place, align, mask, zeros])

    def store_part(self, value, place, mask):
        align = ir.Constant(ir.IntType(32), self.size)
        self.masked("store", ir.VoidType(), [value, place, align, mask])

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
def _transpose(typing_context, source, at, step, filled, length, target, place, target_step):
    def codegen(context, builder, signature, args):
        emit = VectorBuilder(context, builder, source.dtype)

        def data(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return builder.gep(array.data, [args[position + 1]])

        rows = emit.rows_of(data(0), args[2], emit.lanes, args[3])
        places = [emit.at(row, emit.constant(0)) for row in rows]
        if HAS_MASKS:
            mask = emit.first_lanes(args[4])
            square = [emit.load_part(place, mask) for place in places]
        else:
            square = [emit.load(place) for place in places]
        first = data(5)
        for i, column in enumerate(emit.transposed(square)):
            emit.store(column, emit.at(first, builder.mul(args[7], emit.constant(i))))
        return context.get_dummy_value()

    i = types.int64
    return types.void(source, i, i, i, i, target, i, i), codegen


@intrinsic
def _copy_row(typing_context, source, at, target, place):
    def codegen(context, builder, signature, args):
        emit = VectorBuilder(
            context, builder, source.dtype, 8 * TILE_BYTES // source.dtype.bitwidth
        )

        def first(position):
            array = context.make_array(signature.args[position])(context, builder, args[position])
            return emit.at(array.data, args[position + 1])

        emit.store(emit.load(first(0)), first(2))
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), codegen


def _plain_copy_row(source, at, target, place):
    count = TILE_BYTES // source.itemsize
    target[place : place + count] = source[at : at + count]


def _plain_transpose(source, at, step, filled, length, target, place, target_step):
    lanes = VECTOR_BYTES // source.itemsize
    square = np.zeros((lanes, lanes), source.dtype)
    for i in range(lanes):
        square[i, :length] = source[at + min(i, filled - 1) * step :][:length]
    for j in range(lanes):
        target[place + j * target_step :][:lanes] = square[:, j]


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
"""transpose(source, at, step, filled, length, target, place, target_step)

For a square of as many rows as a vector has lanes, target[place + j·target_step + i] =
source[at + i·step + j]; rows from `filled` (≥ 1) on repeat the last one before, and for j from
`length` on (only where the processor has masks, `HAS_MASKS`) zeros are written."""

copy_row: Callable[..., Any] = _plain_copy_row if config.DISABLE_JIT else _copy_row
"""copy_row(source, at, target, place): as many elements as the tile has columns."""
