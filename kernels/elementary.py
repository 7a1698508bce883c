"""Elementary functions without a call: exp, expm1, log, log1p, tanh, σ and softplus.

Each takes one float32 or float64, computes in that precision, and is off by less than 2 units
in the last place (docs/accuracy.md has the measured bounds). There are no branches, only
selections, and no call into the C library, so a loop over any of them becomes vector code.

NaN comes out where NaN went in, ±inf give limits, results that are subnormal are rounded like
others, and zeros keep their sign where the function is odd about them. Clamps are written such
that a comparison with NaN, which is false, keeps the NaN.

Every line does what is written in the order in which it is written: sums and differences here
are arranged so that what one operation rounds away the next one brings back.
"""

import math

from kernels.bits import (
    BIAS,
    STORED_BITS,
    constant,
    exponent_bits,
    fma,
    polynomial,
    power_of_two,
    significand,
)
from kernels.jit import jit_as_written

# ------------------------------------------------------------------------------ exponentials
# eˣ = 2ⁿ·eʳ with n = round(x/ln 2), so |r| ≤ ln(2)/2. Adding ROUNDING to x/ln 2 leaves no bits
# behind the point: the sum's last bits are n + bias, and subtracting it again gives n. (A
# conversion to an integer would do, too, but AVX2 has none for float64.)


def rounding(offset: int):
    """1.5·2ᵇ + bias + offset, b the stored bits: added to x it rounds x to an integer."""
    single, double = (1.5 * 2.0 ** STORED_BITS[w] + BIAS[w] + offset for w in (32, 64))
    return constant(float32=single, float64=double)


RAISED = 64
"""Where 2ⁿ may be subnormal or infinite, 2ⁿ⁺⁶⁴ or 2ⁿ⁻⁶⁴ comes first, and is not."""

ROUNDING, ROUNDING_UP, ROUNDING_DOWN = rounding(0), rounding(RAISED), rounding(-RAISED)
ROUNDING_HALF = rounding(-1)

LOG2_E = constant(1.4426950408889634, 1.4426950408889634)

LN2_HIGH = constant(0.693115234375, float.fromhex("0x1.62e42fefa3p-1"))
"""The first 14 and 41 bits of ln 2, so that n times it is exact, fused or not."""

LN2_LOW = constant(3.194618494530941e-5, 2.823529056303157712e-13)
"""The rest of ln 2."""

EXP_LEAST = constant(-104.0, -746.0)
EXP_GREATEST = constant(89.0, 710.0)
"""Beyond these eˣ rounds to 0 and to inf."""

exp_tail = polynomial(
    float32=[
        0.4999999808885798927,
        0.16666542676456084887,
        0.041667216473407968632,
        0.0083666499172265015739,
        0.0013881771641693122145,
    ],
    float64=[
        0.50000000000000052768,
        0.16666666666666587766,
        0.04166666666657539243,
        0.0083333333333904257059,
        0.0013888888932050265812,
        0.0001984126971758651717,
        2.4801504652008707877e-5,
        2.7557408227028420262e-6,
        2.7626298183168724147e-7,
        2.5053779554018096487e-8,
    ],
)
"""(eʳ - 1 - r)/r² on |r| ≤ ln(2)/2 (Remez's exchange, relative to eʳ - 1): off by 2⁻²⁶, 2⁻⁵⁵·⁶."""


@jit_as_written
def exp_parts(x, low, rounding):
    """(w, 2ⁿ⁺ᵒ) of e^(x + low) = 2ⁿ·(1 + w): o the offset of `rounding`, `low` beside x small."""
    shifted = fma(x + low, LOG2_E(x), rounding)
    n = shifted - rounding
    high = fma(-n, LN2_HIGH(x), x)
    low = fma(-n, LN2_LOW(x), low)
    r = high + low
    return high + fma(r * r, exp_tail(r), low), power_of_two(shifted)


@jit_as_written
def exp_offset(x, rounding):
    """2ᵒ·eˣ, where o is the offset of `rounding`."""
    w, scale = exp_parts(x, type(x)(0), rounding)
    return (type(x)(1) + w) * scale


@jit_as_written
def exp(x):
    """eˣ: inf from 709.8 (88.8 in float32) on, 0 from -745.2 (-104) down."""
    zero, raised = type(x)(0), type(x)(2.0**RAISED)
    x = EXP_LEAST(x) if x < EXP_LEAST(x) else x
    x = EXP_GREATEST(x) if x > EXP_GREATEST(x) else x
    offset = ROUNDING_UP(x) if x < zero else ROUNDING_DOWN(x)
    back = type(x)(2.0**-RAISED) if x < zero else raised
    return exp_offset(x, offset) * back


@jit_as_written
def exp_nonpositive(x):
    """eˣ for x ≤ 0, in fewer operations."""
    x = EXP_LEAST(x) if x < EXP_LEAST(x) else x
    return exp_offset(x, ROUNDING_UP(x)) * type(x)(2.0**-RAISED)


EXPM1_LEAST = constant(-20.0, -40.0)
"""Below this eˣ - 1 rounds to -1."""


@jit_as_written
def expm1_offset(x, rounding, unit):
    """unit·(eˣ - 1), unit = 2ᵒ with o the offset of `rounding`.

    eˣ - 1 = 2ⁿ·(eʳ - 1) + (2ⁿ - 1), and the large part of r, which is exact, is added first.
    """
    shifted = fma(x, LOG2_E(x), rounding)
    n = shifted - rounding
    high, low = fma(-n, LN2_HIGH(x), x), -n * LN2_LOW(x)
    r = high + low
    scale = power_of_two(shifted)
    return fma(scale, fma(r * r, exp_tail(r), low), fma(scale, high, scale - unit))


@jit_as_written
def expm1(x):
    """eˣ - 1 with all digits near 0."""
    one = type(x)(1)
    y = EXPM1_LEAST(x) if x < EXPM1_LEAST(x) else x
    y = EXP_GREATEST(x) if y > EXP_GREATEST(x) else y
    is_large = y > one
    offset = ROUNDING_HALF(x) if is_large else ROUNDING(x)
    unit = type(x)(0.5) if is_large else one
    return math.copysign(expm1_offset(y, offset, unit) / unit, x)


@jit_as_written
def expm1_nonpositive(x):
    """eˣ - 1 for x ≤ 0, in fewer operations."""
    y = EXPM1_LEAST(x) if x < EXPM1_LEAST(x) else x
    return math.copysign(expm1_offset(y, ROUNDING(x), type(x)(1)), x)


TANH_GREATEST = constant(10.0, 20.0)
"""Above this tanh x rounds to 1."""


@jit_as_written
def tanh(x):
    """Tanh x = sign(x)·h/(1 + h), h = expm1(2|x|)/2; as h - h·h/(1 + h) where h is small.

    There what the rounding of 1 + h does to the quotient counts only h times.
    """
    one = type(x)(1)
    size = abs(x)
    size = TANH_GREATEST(x) if size > TANH_GREATEST(x) else size
    h = type(x)(0.5) * expm1_offset(size + size, ROUNDING(x), one)
    y = h / (one + h)
    return math.copysign(fma(-h, y, h) if h < type(x)(0.5) else y, x)


@jit_as_written
def sigmoid_pair(x):
    """(σ(x), σ(-x)), of which the one is 1/(1 + e), e = e^-|x|, and the other e - e²/(1 + e)."""
    e = exp_nonpositive(-abs(x))
    large = type(x)(1) / (type(x)(1) + e)
    small = fma(-e, e * large, e)
    return (small if x < 0 else large), (large if x < 0 else small)


@jit_as_written
def sigmoid(x):
    """σ(x) = 1/(1 + e⁻ˣ)."""
    y, _ = sigmoid_pair(x)
    return y


# -------------------------------------------------------------------------------- logarithms
# x = 2ᵏ·(1 + f) with 1 + f in [√½, √2), so log x = k·ln 2 + log(1 + f). With s = f/(2 + f),
# log(1 + f) = 2·artanh(s) = f - f²/2 + s·(f²/2 + s²·R(s²)), |s| ≤ 3 - √8 (as in Sun's fdlibm).

EXPONENT_OFFSET = constant(2.0**23 + 127, 2.0**52 + 1023)

artanh_tail = polynomial(
    float32=[
        0.66666665637920443179,
        0.40000337145758626317,
        0.28537171718552114732,
        0.23584951586646122267,
    ],
    float64=[
        0.6666666666666735249,
        0.39999999999408361973,
        0.285714287439584537,
        0.22222198395270646048,
        0.18183574418960742055,
        0.15313771466423643941,
        0.14798941853551769027,
    ],
)
"""R(z) = (2·artanh(√z)/√z - 2)/z, z ≤ 17 - √288 (Remez's exchange): z·R/2 is off by 2⁻³⁷, 2⁻⁵⁹."""


@jit_as_written
def log_of_parts(k, f):
    """k·ln 2 + log(1 + f)."""
    half_square = type(f)(0.5) * f * f
    s = f / (type(f)(2) + f)
    z = s * s
    tail = fma(s, fma(z, artanh_tail(z), half_square), k * LN2_LOW(f))
    return fma(k, LN2_HIGH(f), f - (half_square - tail))


LEAST_NORMAL = constant(2.0**-126, 2.0**-1022)
SCALE_UP = constant(2.0**24, 2.0**54)
SCALE_UP_EXPONENT = constant(24.0, 54.0)


@jit_as_written
def log(x):
    """Log x: -inf at ±0, NaN below."""
    zero, inf = type(x)(0), type(x)(math.inf)
    is_subnormal = x < LEAST_NORMAL(x)
    y = x * SCALE_UP(x) if is_subnormal else x
    lost = SCALE_UP_EXPONENT(x) if is_subnormal else zero
    k = exponent_bits(y) - EXPONENT_OFFSET(x) - lost
    y = log_of_parts(k, significand(y) - type(x)(1))
    y = y if x < inf else x
    return y if x > zero else (-inf if x == zero else type(x)(math.nan))


@jit_as_written
def log1p_finite(x):
    """log(1 + x) for a finite x > -1, or NaN: with all digits near 0.

    2⁻ᵏ·(1 + x) - 1 is the significand of 1 + x as rounded, less 1, plus 2⁻ᵏ times what the
    rounding lost: 2⁻ᵏ as half of 2¹⁻ᵏ, for k may be 1024.
    """
    one = type(x)(1)
    rounded = one + x
    shown = rounded - one
    lost = (one - (rounded - shown)) + (x - shown)
    k = exponent_bits(rounded) - EXPONENT_OFFSET(x)
    twice = power_of_two((ROUNDING(x) + one) - k)
    return log_of_parts(k, fma(lost * twice, type(x)(0.5), significand(rounded) - one))


@jit_as_written
def log1p(x):
    """log(1 + x) with all digits near 0: -inf at -1, NaN below."""
    inf = type(x)(math.inf)
    y = math.copysign(log1p_finite(x), x)
    y = x if x == inf else y
    return y if not x <= -1 else (-inf if x == -1 else type(x)(math.nan))


# ---------------------------------------------------------------------------------- softplus
# With e = e^-|x|, log1p(e) = 2e·p(t), t = 2e - c in (-1, 1.01) and c near 1, such that p(0) is very
# nearly a floating number: no logarithm, and no division.

SOFTPLUS_CENTRE = constant(0.993408203125, 0.99072265625)
"""The c above."""

RATIO_AT_CENTRE = constant(0.40594130754470825, 0.4061357294649877)
"""p(0)."""

ratio_beyond_centre = polynomial(
    float32=[
        -0.07235085964202881,
        0.016660112887620926,
        -0.0042608571238815784,
        0.001155401929281652,
        -0.00032483370159752667,
        9.18202567845583e-05,
        -2.7153082555742003e-05,
        1.0378051229054108e-05,
        -3.0601045182265807e-06,
    ],
    float64=[
        -0.07244043736504803,
        0.016694557161148434,
        -0.004273275631950302,
        0.0011591341989112696,
        -0.0003262708128443709,
        9.423302338705614e-05,
        -2.773763483133918e-05,
        8.284553197928613e-06,
        -2.5031708400204246e-06,
        7.634786177796351e-07,
        -2.3470669660402792e-07,
        7.261750318220518e-08,
        -2.2553321149993948e-08,
        7.058883924062885e-09,
        -2.271343388681514e-09,
        7.094095545233842e-10,
        -1.806302592782916e-10,
        6.052549359236558e-11,
        -3.873339292768932e-11,
        1.1660070705308946e-11,
    ],
)
"""(p(t) - p(0))/t, by least squares of the relative error of p at Chebyshev points, each of the
first coefficients rounded before the next are fitted: p is off by 2⁻²⁷, 2⁻⁵⁶."""


@jit_as_written
def softplus(x):
    """log(1 + eˣ) = max(x, 0) + log1p(e), e = e^-|x| = 2ⁿ·(1 + w).

    (1 + w)·p, as p + w·p with what rounding took from p, is rounded once; 2ⁿ⁺¹ may be subnormal,
    and is exact even so.
    """
    zero, one = type(x)(0), type(x)(1)
    size = -abs(x)
    size = EXP_LEAST(x) if size < EXP_LEAST(x) else size
    w, scale = exp_parts(size, zero, ROUNDING_UP(x))
    twice = scale * type(x)(2.0 ** (1 - RAISED))
    t = fma(one + w, twice, -SOFTPLUS_CENTRE(x))
    slope, at_centre = ratio_beyond_centre(t), RATIO_AT_CENTRE(x)
    p = fma(t, slope, at_centre)
    lost = fma(t, slope, at_centre - p)
    return fma(p + fma(w, p, lost), twice, zero if x <= zero else x)
