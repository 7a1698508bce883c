"""softmax of rows, with the logarithm of what it divides by.

Rows of a few classes are too short for vectors. Where there are many such rows, a block of them is
turned over: then a class is a column, and its loop runs along the rows. Every sum over classes is
taken in their order there, as it is for such rows one by one: whichever way, the bits are the same.
"""

import numpy as np

from kernels.bits import larger
from kernels.elementary import exp_nonpositive, log1p_finite
from kernels.jit import jit, jit_as_written, jit_inlined
from kernels.simd import scratch
from kernels.views import flat, vector

BLOCK_SIZE = 2048
"""About so many probabilities are computed at a time: rows that are still in the cache."""

BLOCK_ROWS = 64
"""And at most so many rows, for which there is memory on the stack."""

NARROW = 6
"""Up to so many classes a block is turned over: more of them fill a vector themselves."""

FEW_ROWS = 8
"""Fewer rows are not worth turning over."""

ROWS_BYTES = 8 * BLOCK_ROWS
COLUMNS_BYTES = NARROW * ROWS_BYTES


@jit_as_written
def difference(a, b):
    """a - b as it stands: exact where they are near each other, however large they are."""
    return a - b


@jit_inlined
def end_of_block(first, n, m):
    """The row after the last of the block that begins with row `first` of n × m."""
    return min(n, first + min(BLOCK_ROWS, max(1, BLOCK_SIZE // max(1, m))))


@jit_inlined
def subtract_peak(z, i, p):
    """p[i] = z[i] - max z[i]; returns that maximum, NaN if there is one, -inf without classes."""
    peak = -z.dtype.type(np.inf)
    for j in range(z.shape[1]):
        peak = larger(z[i, j], peak)
    for j in range(z.shape[1]):
        p[i, j] = difference(z[i, j], peak)
    return peak


@jit_inlined
def softmax_of_differences(p, first, last, loss):
    """From p = z - max z to p = softmax(z) and loss += log Σ e^(z - max z), first ≤ row < last.

    The largest term of the sum is 1, so the logarithm is log1p of the others: it keeps its digits
    when the others are small. They are the terms that are not 1, and the ones but for the first.
    """
    if p.shape[1] > NARROW:
        by_rows(p, first, last, loss)
    elif last - first < FEW_ROWS:
        one_by_one(p, first, last, loss)
    else:
        by_columns(p, first, last, loss)


@jit_inlined
def exponentials(p, first, last):
    """eᵖ in the place of p ≤ 0: one loop, however short a row is."""
    m = p.shape[1]
    entries = vector(flat(p), first * m, (last - first) * m)
    for k in range(entries.size):
        entries[k] = exp_nonpositive(entries[k])


@jit_inlined
def one_by_one(p, first, last, loss):
    one = p.dtype.type(1)
    exponentials(p, first, last)
    for i in range(first, last):
        others = others_in_order(p, i)
        scale = one / (one + others)
        for j in range(p.shape[1]):
            p[i, j] *= scale
        loss[i] += log1p_finite(others)


@jit_as_written
def others_in_order(p, i):
    """The sum of a row without the first term that is 1, one class after the other."""
    zero, one = p.dtype.type(0), p.dtype.type(1)
    ones, below = 0, zero
    for j in range(p.shape[1]):
        is_one = p[i, j] == one
        ones += is_one
        below += zero if is_one else p[i, j]
    return below + p.dtype.type(max(ones - 1, 0))


# The memory on the stack that the next two take is not to burden what calls them with few rows:
# they are functions of their own.


@jit
def by_rows(p, first, last, loss):
    """Sums and products along each row, the logarithms in one loop."""
    rows, m = last - first, p.shape[1]
    zero, one = p.dtype.type(0), p.dtype.type(1)
    exponentials(p, first, last)
    others = vector(scratch(loss, ROWS_BYTES), 0, rows)
    scales = vector(scratch(loss, ROWS_BYTES), 0, rows)
    for i in range(rows):
        ones, below = 0, zero
        for j in range(m):
            is_one = p[first + i, j] == one
            ones += is_one
            below += zero if is_one else p[first + i, j]
        others[i] = below + p.dtype.type(max(ones - 1, 0))
    finish(others, scales, vector(loss, first, rows))
    for i in range(rows):
        for j in range(m):
            p[first + i, j] *= scales[i]


@jit
def by_columns(p, first, last, loss):
    rows, m = last - first, p.shape[1]
    zero, one = p.dtype.type(0), p.dtype.type(1)
    columns = scratch(loss, COLUMNS_BYTES)
    ones = vector(scratch(loss, ROWS_BYTES), 0, rows)
    others = vector(scratch(loss, ROWS_BYTES), 0, rows)
    scales = vector(scratch(loss, ROWS_BYTES), 0, rows)
    ones[:] = others[:] = zero
    for j in range(m):
        column = vector(columns, j * rows, rows)
        for i in range(rows):
            column[i] = p[first + i, j]
        for i in range(rows):
            term = exp_nonpositive(column[i])
            is_one = term == one
            ones[i] += one if is_one else zero
            others[i] += zero if is_one else term
            column[i] = term
    for i in range(rows):
        others[i] += larger(ones[i] - one, zero)
    finish(others, scales, vector(loss, first, rows))
    for j in range(m):
        column = vector(columns, j * rows, rows)
        for i in range(rows):
            p[first + i, j] = column[i] * scales[i]


@jit_inlined
def finish(others, scales, loss):
    """What the terms are to be multiplied by, 1/(1 + others), and loss += log1p(others)."""
    one = others.dtype.type(1)
    for i in range(others.size):
        scales[i] = one / (one + others[i])
        loss[i] += log1p_finite(others[i])
