"""Arithmetic on one float32 or float64 that Numba's language lacks and LLVM vectorises.

Each name is an intrinsic, which emits its few instructions in place: a loop over them becomes
vector code, and there is nothing to inline. The type of the argument decides the precision,
so one formula serves both. Where the JIT is off, each name is its plain twin.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.simd import HAS_FMA

STORED_BITS = {32: 23, 64: 52}
"""Bits of the significand that are stored, by the width of the number."""

BIAS = {32: 127, 64: 1023}
"""What is added to the exponent where it is stored."""

INTEGERS = {32: np.int32, 64: np.int64}
FLOATS = {32: np.float32, 64: np.float64}


def width_of(number) -> int:
    """32 or 64, for an array scalar or for Numba's type of one."""
    return 32 if number == types.float32 or type(number) is np.float32 else 64


def pattern(value: float, width: int) -> int:
    """The bits of a floating number as an integer."""
    return int(FLOATS[width](value).view(INTEGERS[width]))


def multiply_add(builder, a, b, c):
    """Emit a·b + c, fused where the processor can."""
    if not HAS_FMA:
        return builder.fadd(builder.fmul(a, b), c)
    name = f"llvm.fma.{'f32' if a.type == ir.FloatType() else 'f64'}"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def about_one(builder, bits, width):
    """Emit bits moved such that their exponent counts from [√½, √2) instead of [1, 2)."""
    distance = pattern(1.0, width) - pattern(0.5**0.5, width)
    return builder.add(bits, bits.type(distance))


# ------------------------------------------------------------------------------- intrinsics


def on_bits(emit) -> Callable[..., Any]:
    """The intrinsic that turns the bits of its argument into those of its result.

    emit(builder, bits, width) gives the resulting integer.
    """

    @intrinsic
    def unary(typing_context, x):
        def codegen(context, builder, signature, args):
            bits = builder.bitcast(args[0], ir.IntType(x.bitwidth))
            return builder.bitcast(emit(builder, bits, x.bitwidth), args[0].type)

        return x(x), codegen

    return unary


@intrinsic
def _fma(typing_context, a, b, c):
    def codegen(context, builder, signature, args):
        return multiply_add(builder, *args)

    return a(a, a, a), codegen


@intrinsic
def _larger(typing_context, a, b):
    def codegen(context, builder, signature, args):
        name = f"llvm.maximum.f{a.bitwidth}"
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return a(a, a), codegen


@on_bits
def _power_of_two(builder, bits, width):
    return builder.shl(bits, bits.type(STORED_BITS[width]))


@on_bits
def _significand(builder, bits, width):
    stored = builder.and_(about_one(builder, bits, width), bits.type(2 ** STORED_BITS[width] - 1))
    return builder.add(stored, bits.type(pattern(0.5**0.5, width)))


@on_bits
def _exponent_bits(builder, bits, width):
    stored = builder.lshr(about_one(builder, bits, width), bits.type(STORED_BITS[width]))
    return builder.or_(stored, bits.type(pattern(2.0 ** STORED_BITS[width], width)))


@on_bits
def _leading_half(builder, bits, width):
    return builder.and_(bits, bits.type(-(2 ** trailing(width))))


def trailing(width: int) -> int:
    """How many bits to clear so that the square of what remains is exact."""
    return (STORED_BITS[width] + 2) // 2


# ------------------------------------------------------------------------------ plain twins


def _plain_fma(a, b, c):
    if type(a) is np.float32:  # in float64 the product is exact
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))
    return a * b + c


def _plain_larger(a, b):
    return np.maximum(a, b)


def _plain_power_of_two(x):
    integer = INTEGERS[width_of(x)]
    return (x.view(integer) << integer(STORED_BITS[width_of(x)])).view(type(x))


def _plain_significand(x):
    fraction, _ = np.frexp(x)
    return fraction * type(x)(2) if fraction < 0.5**0.5 else fraction


def _plain_exponent_bits(x):
    fraction, exponent = np.frexp(x)
    k = exponent - 1 if fraction < 0.5**0.5 else exponent
    return type(x)(2.0 ** STORED_BITS[width_of(x)] + BIAS[width_of(x)] + k)


def _plain_leading_half(x):
    integer = INTEGERS[width_of(x)]
    return (x.view(integer) & integer(-(2 ** trailing(width_of(x))))).view(type(x))


# --------------------------------------------------------------------------- what is offered

fma: Callable[..., Any] = _plain_fma if config.DISABLE_JIT else _fma
"""fma(a, b, c): a·b + c, rounded once where the processor can, else twice."""

larger: Callable[..., Any] = _plain_larger if config.DISABLE_JIT else _larger
"""larger(a, b): the greater of the two, NaN where one of them is."""

power_of_two: Callable[..., Any] = _plain_power_of_two if config.DISABLE_JIT else _power_of_two
"""power_of_two(x): 2ⁿ, where the last bits of x's significand hold n + bias as an integer."""

significand: Callable[..., Any] = _plain_significand if config.DISABLE_JIT else _significand
"""significand(x): m in [√½, √2) such that x = 2ᵏ·m, for a positive normal x."""

exponent_bits: Callable[..., Any] = _plain_exponent_bits if config.DISABLE_JIT else _exponent_bits
"""exponent_bits(x): k + bias of that k, plus 2 to the number of stored bits."""

leading_half: Callable[..., Any] = _plain_leading_half if config.DISABLE_JIT else _leading_half
"""leading_half(x): x towards zero, to so few bits that its square is exact."""


def constant(float32: float, float64: float) -> Callable[..., Any]:
    """c(x): a number of the type of `x`, one value for each precision."""
    values = {32: float32, 64: float64}

    @intrinsic
    def typed(typing_context, x):
        def codegen(context, builder, signature, args):
            return context.get_constant(x, values[x.bitwidth])

        return x(x), codegen

    def plain(x):
        return type(x)(values[width_of(x)])

    return plain if config.DISABLE_JIT else typed


def evaluate(multiply, add_product, coefficients, x):
    """Σ coefficients[k]·xᵏ as low + xⁿ·high, n = 2ʲ somewhat less than half of all.

    Each part by Horner's rule: one long chain would leave the processor's units waiting, and
    parts that are not so near the ends of the polynomial would cancel.
    """
    n = 2 ** max(0, (3 * len(coefficients) // 5).bit_length() - 1)
    parts = []
    for *lower, total in (coefficients[:n], coefficients[n:]):
        for c in reversed(lower):
            total = add_product(total, x, c)
        parts.append(total)
    for _ in range(n.bit_length() - 1):
        x = multiply(x, x)
    return add_product(parts[1], x, parts[0])


def polynomial(float32: list[float], float64: list[float]) -> Callable[..., Any]:
    """p(x) = Σ coefficients[k]·xᵏ, one list for each precision."""
    coefficients = {32: float32, 64: float64}

    @intrinsic
    def typed(typing_context, x):
        def codegen(context, builder, signature, args):
            constants = [context.get_constant(x, c) for c in coefficients[x.bitwidth]]
            add_product = functools.partial(multiply_add, builder)
            return evaluate(builder.fmul, add_product, constants, args[0])

        return x(x), codegen

    def plain(x):
        constants = [type(x)(c) for c in coefficients[width_of(x)]]
        return evaluate(operator.mul, _plain_fma, constants, x)

    return plain if config.DISABLE_JIT else typed
