"""Statistics of arrays as logarithms: sums are of values divided by the largest, so that nothing
overflows or underflows which is itself a number.

Every line does what is written: reordered, the factors of a subnormal number would overflow.
"""

import math

import numpy as np

from kernels.jit import jit_as_written

SMALL, RAISE, RAISED_BITS = 2.0**-500, 2.0**600, 600.0
"""Values below SMALL are multiplied by RAISE first: the inverse of a subnormal is infinite."""


@jit_as_written
def log2_statistics(values, out):
    """out[:3] = log₂ of norm, largest absolute value and mean square of a vector.

    -inf where all are zero or there are none, inf where one is infinite, NaN where one is NaN.
    """
    largest = log2_abs_max(values)
    if not math.isfinite(largest):
        out[0] = out[1] = out[2] = largest
        return
    log2_squares = log2_sum_of_squares(values, largest)
    out[0] = log2_squares / 2
    out[1] = largest
    out[2] = log2_squares - math.log2(values.size)


@jit_as_written
def log2_norm(values):
    """log₂ of the norm alone, as in `log2_statistics`."""
    largest = log2_abs_max(values)
    return log2_sum_of_squares(values, largest) / 2 if math.isfinite(largest) else largest


@jit_as_written
def log2_sum_of_squares(values, largest):
    """log₂ of Σ value², where `largest` is the finite log₂ of the largest absolute value."""
    total = 0.0
    for i in range(values.size):
        part = scaled(values[i], largest)
        total += part * part
    return math.log2(total) + 2 * math.floor(largest)


@jit_as_written
def log2_sum(a, b):
    """log₂(2ᵃ + 2ᵇ)."""
    large, small = max(a, b), min(a, b)
    return large if small == -math.inf else large + math.log2(1 + 2.0 ** (small - large))


@jit_as_written
def scaled(value, largest):
    """value·2⁻ᵏ, k the whole part of `largest`: between -2 and 2 for |value| ≤ 2^largest."""
    if largest < -500.0:
        return (np.float64(value) * RAISE) * 2.0 ** -(math.floor(largest) + RAISED_BITS)
    return np.float64(value) * 2.0 ** -math.floor(largest)


@jit_as_written
def log2_abs_max(values):
    """log₂ of the largest absolute value."""
    largest = 0.0
    for i in range(values.size):
        size = abs(np.float64(values[i]))
        if not size <= largest:
            largest = size
            if size != size:
                return math.nan
    if largest == 0:
        return -math.inf
    if largest < SMALL:
        return math.log2(largest * RAISE) - RAISED_BITS
    return math.log2(largest)


@jit_as_written
def cosine(a, b):
    """Of the angle between two vectors; 0 where one of them is zero, or not finite."""
    size_a, size_b = log2_abs_max(a), log2_abs_max(b)
    if not (math.isfinite(size_a) and math.isfinite(size_b)):
        return 0.0
    aa, ab, bb = 0.0, 0.0, 0.0
    for i in range(a.size):
        u, v = scaled(a[i], size_a), scaled(b[i], size_b)
        aa, ab, bb = aa + u * u, ab + u * v, bb + v * v
    return ab / math.sqrt(aa * bb)
