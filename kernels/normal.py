"""The normal distribution: Φ(x) and its density φ(x), one number at a time, without a call.

For a ≥ 0, Φ(-a) = e^(-a²/2)·q(a), where q falls from 1/2 like 1/(a√(2π)). With u = 1/(c + a) and
t = 1 - 2c·u = (a - c)/(a + c), which lies in [-1, 1), q(a) = u·p(t) with a polynomial p: the
substitution of Shepherd & Laframboise (1981). Relative accuracy is kept in the tail, to within
3 units in the last place (docs/accuracy.md); where the processor has no fused multiply-add, to
within 8.
"""

import math

from kernels.bits import constant, fma, leading_half, polynomial
from kernels.elementary import RAISED, ROUNDING_UP, exp_parts
from kernels.jit import jit_as_written

GREATEST_DEVIATION = constant(15.0, 38.7)
"""From here on Φ(-a) and φ(a) round to 0; not so far that 2ⁿ⁺⁶⁴ would be subnormal."""

CENTRE = constant(3.57861328125, 5.057861328125)
"""The c above, near the best one, and such that p(0) is very nearly a floating number."""

SENSITIVITY = constant(-0.8 * 3.57861328125**2, -0.8 * 5.057861328125**2)
"""s in d log q/da ≈ s·u², within a tenth for every a: enough for a correction of an ulp or two."""

AT_CENTRE = constant(0.74637180469896470832, 0.76978466155860414113)
"""p(0)."""

beyond_centre = polynomial(
    float32=[
        -0.57302159736289662891,
        0.3275896814970731039,
        -0.12721057994757927353,
        0.023359978893795956342,
        0.0051874323637537153527,
        -0.0036294678612324578785,
        -0.0001502680360783105729,
        0.00047885003440997670269,
        1.893835618693667041e-5,
        -4.02844153032619445e-5,
    ],
    float64=[
        -0.66791640363987438972,
        0.5003723542315912735,
        -0.32007919600037344379,
        0.17122539027519779447,
        -0.073605255422953627154,
        0.023245445410724327642,
        -0.0039322366826588817032,
        -0.00061376679376936584448,
        0.00058044713760095850294,
        -9.5220317301274562574e-5,
        -4.3873020931408599994e-5,
        2.0274028497317178262e-5,
        2.3778619622134325251e-6,
        -3.0606013687985523493e-6,
        -4.2661109220994239845e-8,
        4.5506018638589382323e-7,
        -1.0006657435968226321e-8,
        -6.9072012803381798889e-8,
        1.8511929808424207122e-10,
        9.0295618254074234957e-9,
        4.2512828023470731315e-10,
        -5.7215849380405928764e-10,
    ],
)
"""(p(t) - p(0))/t by Remez's exchange for a ≤ 15 and 40: p is off by 2⁻²⁹ and 2⁻⁵⁷ of itself."""

DENSITY_AT_0 = constant(1 / math.sqrt(2 * math.pi), 1 / math.sqrt(2 * math.pi))


@jit_as_written
def clamped_deviation(x):
    """X where |x| ≤ GREATEST_DEVIATION, else that bound: a factor that is not infinite."""
    greatest = GREATEST_DEVIATION(x)
    x = -greatest if x < -greatest else x
    return greatest if x > greatest else x


@jit_as_written
def tail_ratio(a):
    """(q, Δq, ε): q(a) = (q + Δq)·(1 + ε).

    The corrections are what rounding took. ε: u is the inverse not of c + a but of a number
    that is c + a less `off`. Δq: what p(t) and u·p(t) lost when they were rounded.
    """
    one, centre, at_centre = type(a)(1), CENTRE(a), AT_CENTRE(a)
    distance = centre + a
    u = one / distance
    off = fma(-distance, fma(-distance, u, one), a - (distance - centre))
    t = fma(type(a)(-2) * centre, u, one)
    slope = beyond_centre(t)
    p = fma(t, slope, at_centre)
    q = u * p
    return q, fma(u, fma(t, slope, at_centre - p), fma(u, p, -q)), off * SENSITIVITY(a) * (u * u)


@jit_as_written
def normal_cdf_and_density(x):
    """(Φ(x), φ(x)), both to full relative accuracy in the tail.

    The exponent must be known to more digits than one number has: -a²/2 = -h²/2 -
    (a - h)(a + h)/2 with h the leading half of a = |x|, whose square is exact. With
    e^(-a²/2) = 2ⁿ·(1 + w), the sum q + w·q is rounded once, where (1 + w)·q would be twice.
    """
    a, half, one = abs(clamped_deviation(x)), type(x)(0.5), type(x)(1)
    q, lost, error = tail_ratio(a)
    h = leading_half(a)
    w, scale = exp_parts(-half * h * h, fma(-half * (a - h), a + h, error), ROUNDING_UP(x))
    back = type(x)(2.0**-RAISED)
    tail = (q + fma(w, q, lost)) * scale * back
    density = DENSITY_AT_0(x) * (one + w) * scale * back
    return (tail if x < 0 else one - tail), density


@jit_as_written
def normal_cdf(x):
    """Φ(x) = ∫ φ from -∞ to x."""
    phi, _ = normal_cdf_and_density(x)
    return phi
