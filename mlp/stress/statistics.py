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
    raises = largest < -500.0
    scale, bits = (RAISE, RAISED_BITS) if raises else (1.0, 0.0)
    unit = 2.0 ** -(math.floor(largest) + bits)
    total = 0.0
    for i in range(values.size):
        part = (np.float64(values[i]) * scale) * unit
        total += part * part
    log2_squares = math.log2(total) + 2 * math.floor(largest)
    out[0] = log2_squares / 2
    out[1] = largest
    out[2] = log2_squares - math.log2(values.size)


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
