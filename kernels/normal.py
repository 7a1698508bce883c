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

BEND = constant(-8.43, -17.88)
"""d log q/da ≈ u·(BEND·u - 1/2) within a fifth: enough for a correction of an ulp or two."""

AT_CENTRE = constant(0.7463718056678772, 0.7697846615586041)
"""p(0)."""

beyond_centre = polynomial(
    float32=[
        -0.5730215907096863,
        0.32758966088294983,
        -0.12721070647239685,
        0.023360103368759155,
        0.005188206676393747,
        -0.0036296232137829065,
        -0.00015221405187495758041,
        0.00047832912863853175324,
        2.0690151856170638085e-5,
        -3.925248639675810398e-5,
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
    that is c + a less `off`. Δq: p(t) and u·p(t) are rounded, too.
    """
    one, centre, at_centre = type(a)(1), CENTRE(a), AT_CENTRE(a)
    distance = centre + a
    u = one / distance
    off = fma(-distance, fma(-distance, u, one), a - (distance - centre))
    t = fma(type(a)(-2) * centre, u, one)
    slope = beyond_centre(t)
    p = fma(t, slope, at_centre)
    q = u * p
    lost = fma(u, fma(t, slope, at_centre - p), fma(u, p, -q))
    return q, lost, off * u * fma(BEND(a), u, type(a)(-0.5))


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
