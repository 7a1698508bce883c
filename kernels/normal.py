"""x·Φ(x), its derivative and erf, one number at a time, without a call: Φ the normal distribution.

With a = |x|, Φ(-a) = e^(-a²/2)·q(a), where q falls from 1/2 like 1/(a√(2π)). So, e = e^(-a²/2),

    x·Φ(x) = max(x, 0) - a·q(a)·e,    its derivative = k(a)·e where x < 0, else 1 - k(a)·e,

with k(a) = q(a) - a/√(2π). In v = a/(c + a) and t = 2v - 1 = (a - c)/(a + c), which lies in
[-1, 1), a·q(a) = v·p(t) with a polynomial p: the substitution of Shepherd & Laframboise (1981).
An error of v moves v·p by no more than itself, relatively: u·p with u = 1/(c + a) would be moved
threefold. Accuracy is relative in the tail, too, to within 3 units in the last place
(docs/accuracy.md); where the processor has no fused multiply-add, to within 8. erf, which is
1 - 2Φ(-√2·x), has a polynomial of its own near 0, and is right to within 2.
"""

import math

from kernels.bits import constant, fma, leading_half, polynomial
from kernels.elementary import RAISED, ROUNDING_UP, exp_nonpositive, exp_parts
from kernels.jit import jit_as_written

GREATEST_DEVIATION = constant(15.0, 38.7)
"""From here on e is 0, also times a; not so far that 2ⁿ⁺⁶⁴ would be subnormal."""

CENTRE = constant(3.3359375, 5.057861328125)
"""The c above, near the best one, and such that p(0) is very nearly a floating number."""

INVERSE_CENTRE = constant(1 / 3.3359375, 1 / 5.057861328125)
"""1/c."""

AT_CENTRE = constant(0.739976704120636, 0.7697846615586041)
"""p(0)."""

beyond_centre = polynomial(
    float32=[
        -0.5488759875297546,
        0.28893160820007324,
        -0.09289950132369995,
        0.006217217538505793,
        0.008066021837294102,
        -0.0019237633096054196,
        -0.0009323705453425646,
        0.00026161663117818534,
        0.0001364790223306045,
    ],
    float64=[
        -0.6679164036398744,
        0.500372354231591,
        -0.32007919600037477,
        0.1712253902752059,
        -0.0736052554229253,
        0.023245445410620375,
        -0.003932236682967467,
        -0.0006137667930512564,
        0.00058044713957017624466,
        -9.5220320176460762179e-5,
        -4.3873028799884788003e-5,
        2.027403523128852613e-5,
        2.3778821683049008773e-6,
        -3.0606098307159815588e-6,
        -4.2694290609792512891e-8,
        4.5506339433028495916e-7,
        -9.9731969048341207368e-9,
        -6.9067234821721877584e-8,
        1.6642151697969503064e-10,
        9.0235653149264140509e-9,
        4.2949818429389951201e-10,
        -5.7019020741174366817e-10,
    ],
)
"""(p(t) - p(0))/t for a ≤ 15 and a ≤ 40, by least squares of the relative error of p at Chebyshev
points, each of the first coefficients rounded before the next are fitted: off by 2⁻²⁸, 2⁻⁵⁶·⁷."""

SQRT_2 = constant(math.sqrt(2), math.sqrt(2))

erf_beyond_x = polynomial(
    float32=[
        0.12837916706154341524,
        -0.37612638468028710398,
        0.1128378249523684454,
        -0.026865430727670242894,
        0.0052210318078580227973,
        -0.00084840804055351062944,
        0.00011265959025606608973,
        -9.6670445714869964152e-6,
    ],
    float64=[
        0.12837916709551257377,
        -0.37612638903183748056,
        0.11283791670954878666,
        -0.026866170645076793248,
        0.0052239776248180144673,
        -0.00085483269808337899052,
        0.00012055331111642710923,
        -1.4925595266831181565e-5,
        1.6461000484121368033e-6,
        -1.6350312701054695011e-7,
        1.4659775274047435814e-8,
        -1.137284885679167367e-9,
        5.9571761477489114044e-11,
    ],
)
"""erf(√z)/√z - 1 on 0 ≤ z ≤ 1 (Chebyshev's interpolation): off by 2⁻³⁴, 2⁻⁶²."""

DENSITY_AT_0 = constant(1 / math.sqrt(2 * math.pi), 1 / math.sqrt(2 * math.pi))


@jit_as_written
def clamped_deviation(x):
    """|x| where it is ≤ GREATEST_DEVIATION, else that bound: a factor that is not infinite."""
    a = abs(x)
    return GREATEST_DEVIATION(x) if a > GREATEST_DEVIATION(x) else a


@jit_as_written
def normal_parts(a, low):
    """(w, 2ⁿ) of e^(low - a²/2) = 2ⁿ·(1 + w); 2ⁿ may be subnormal, and is exact even so.

    The exponent must be known to more digits than one number has: -a²/2 = -h²/2 -
    (a - h)(a + h)/2 with h the leading half of a, whose square is exact. With p·(1 + w) as
    p + w·p a sum is rounded once, where the product of p and 1 + w would be twice.
    """
    half = type(a)(0.5)
    h = leading_half(a)
    w, scale = exp_parts(-half * h * h, fma(-half * (a - h), a + h, low), ROUNDING_UP(a))
    return w, scale * type(a)(2.0**-RAISED)


@jit_as_written
def gelu(x):
    """x·Φ(x).

    The corrections are what rounding took. off: from c + a, so from v, relatively, where that
    moves v·p most. lost: from t and from p.
    """
    a, zero, one = clamped_deviation(x), type(x)(0), type(x)(1)
    centre, at_centre = CENTRE(x), AT_CENTRE(x)
    distance = centre + a
    v = a / distance
    t = (v + v) - one
    slope = beyond_centre(t)
    p = fma(t, slope, at_centre)
    off = ((distance - centre) - a) * (one - v) * INVERSE_CENTRE(x)
    lost = fma((v + v) - (t + one), slope, fma(t, slope, at_centre - p))
    w, scale = normal_parts(a, off)
    return fma((p + fma(w, p, lost)) * -v, scale, zero if x < zero else x)


@jit_as_written
def gelu_slope(x):
    """Φ(x) + x·φ(x), the derivative of x·Φ(x); q(a) = p(t)·(1 - v)/c."""
    a, zero, one = clamped_deviation(x), type(x)(0), type(x)(1)
    v = a / (CENTRE(x) + a)
    t = (v + v) - one
    p = fma(t, beyond_centre(t), AT_CENTRE(x))
    k = fma(-DENSITY_AT_0(x), a, p * ((one - v) * INVERSE_CENTRE(x)))
    w, scale = normal_parts(a, zero)
    tail = fma(w, k, k) * scale
    return tail if x < zero else one - tail


@jit_as_written
def erf(x):
    """Erf x = sign(x)·(1 - 2Φ(-√2·|x|)); where |x| ≤ 1, as x + x·r(x²), for there that cancels."""
    one = type(x)(1)
    a = clamped_deviation(SQRT_2(x) * x)
    v = a / (CENTRE(x) + a)
    p = fma((v + v) - one, beyond_centre((v + v) - one), AT_CENTRE(x))
    q = p * ((one - v) * INVERSE_CENTRE(x))
    far = fma(type(x)(-2) * q, exp_nonpositive(type(x)(-0.5) * a * a), one)
    near = fma(x, erf_beyond_x(x * x), x)
    return near if abs(x) <= one else math.copysign(far, x)
