"""The matrix product, in the three forms that an affine layer needs.

Regimes by size. Tiny: plain loops. Thin, or with few rows where b is transposed: dot products, or
loops along whichever operand lies well. Small: the register tile reads a and b where they lie.
Large, or where b is transposed: blocks of b, and of a where its rows lie badly, are first copied
into panels as wide and as high as the tile, which absorbs the transposes and keeps them in the
first two caches (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication").

Every product ends in c = max(floor, keep·before + scale·product), while the sums are still in
registers: `before` is a bias, c itself or nothing. That is a layer's bias and relu, and a
parameter's step along its gradient.
"""

import numpy as np

from kernels.address import call
from kernels.dots import DOT_COLUMNS, dots
from kernels.jit import jit, jit_inlined
from kernels.panels import (
    BLOCK_BYTES,
    BLOCK_DEPTH,
    BLOCK_ROWS,
    PANEL_BYTES,
    SCRATCH_BYTES,
    pack_a,
    pack_b,
)
from kernels.share import ALONE, share
from kernels.simd import HAS_MASKS, TILE_BYTES, TILE_ROWS, scratch
from kernels.tile import ADD, SET, SET_BIAS, tile
from kernels.views import flat, vector

TINY = 64
"""Up to so many multiplications plain loops are faster than setting the tile up."""

THIN_ROWS = 3
ONE_ROW_BYTES, THIN_ROWS_BYTES = 2**18, 2**23
"""For one row, and for up to so many, the tile would wait for memory where b has more than so many
bytes: rows of b are read in one piece instead."""

THIN_DEPTH, THIN_HEIGHT = 32, 64
"""From so long sums on, and so many rows, thin products gain more from vectors along them than the
tile's empty columns cost.
"""

DOT_SHARE = 10
"""Turning b over costs more than the dot products' last additions for up to 1/so many rows of a
as a sum has terms."""

PACK_COLUMNS, PACK_ROWS = 256, 48
"""From so many columns of b on, and rows of a to share the cost, packing b pays: rows of b are
then too far apart for the first cache."""

PACK_A_STEP, PACK_A_COLUMNS = 128, 32
"""Packing a transposed a pays where what the tile reads one after another lies so far apart or
farther, for so many columns of b to share the cost."""


@jit_inlined
def matmul_bias(a, b, bias, c):
    """c = a @ b + bias;  a (n, k), b (k, m), bias (m,), c (n, m)."""
    matmul_bias_floor(a, b, bias, -np.inf, c, ALONE, product)


@jit_inlined
def matmul_bias_floor(a, b, bias, floor, c, team, product):
    """c = max(floor, a @ b + bias): with a floor of 0 that is relu, with -inf nothing."""
    ends = c.dtype.type(1), c.dtype.type(1), c.dtype.type(floor)
    multiply(a, strides(a), b, strides(b), c, a.shape[1], bias, SET_BIAS, ends, team, product)


@jit_inlined
def matmul_transpose_a(a, b, c):
    """c = aᵀ @ b;  a (n, k), b (n, m), c (k, m)."""
    matmul_transpose_a_onto(a, b, SET, 1.0, 1.0, c, ALONE, product)


@jit_inlined
def matmul_transpose_a_onto(a, b, mode, keep, scale, c, team, product):
    """c = keep·c + scale·(aᵀ @ b) where `mode` is ADD; with SET the first term is left out."""
    step, row = strides(a)
    ends = c.dtype.type(keep), c.dtype.type(scale), c.dtype.type(-np.inf)
    multiply(a, (row, step), b, strides(b), c, a.shape[0], nothing(c), mode, ends, team, product)


@jit_inlined
def matmul_transpose_b(a, b, c, team, product):
    """c = a @ bᵀ;  a (n, m), b (k, m), c (n, k)."""
    column, step = strides(b)
    kind = c.dtype.type
    ends = kind(1), kind(1), kind(-np.inf)
    multiply(a, strides(a), b, (step, column), c, a.shape[1], nothing(c), SET, ends, team, product)


@jit_inlined
def nothing(c):
    """No bias."""
    return vector(flat(c), 0, 0)


@jit
def strides(array):
    """Elements from row to row and from column to column."""
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


@jit_inlined
def multiply(a, a_strides, b, b_strides, c, k, bias, mode, ends, team, product):
    """c = max(floor, keep·before + scale·A·B), where A[i, p] = a[i·a_row + p·a_step] and
    B[p, j] = b[p·b_step + j·b_column] of the flat a and b.

    A (n, k), B (k, m), c (n, m); bias (m,). One stride of A and one of B is 1. `mode` says what
    `before` is; `ends` is (keep, scale, floor). `product` is the function of this name, or its
    address.
    """
    # Of one type, not a constant, so that one compilation serves all.
    mode = np.int64(mode)
    a, b, c, (n, m) = flat(a), flat(b), flat(c), c.shape
    if n * k * m <= TINY:
        if team[0] == 0:
            tiny_product(a, a_strides, b, b_strides, c, n, k, m, bias, mode, ends)
    else:
        call(product, a, a_strides, b, b_strides, c, n, k, m, bias, mode, ends, team)


@jit_inlined
def tiny_product(a, a_strides, b, b_strides, c, n, k, m, bias, mode, ends):
    (a_row, a_step), (b_step, b_column) = a_strides, b_strides
    for i in range(n):
        for j in range(m):
            total = a.dtype.type(0)
            for p in range(k):
                total += a[i * a_row + p * a_step] * b[p * b_step + j * b_column]
            c[i * m + j] = ended(total, c, i * m + j, bias, j, mode, ends)


@jit
def before_sum(c, at, bias, j, mode):
    """What a sum is added to."""
    if mode == SET_BIAS:
        return bias[j]
    if mode == ADD:
        return c[at]
    return c.dtype.type(0)


@jit
def ended(total, c, at, bias, j, mode, ends):
    """max(floor, keep·before + scale·total)."""
    keep, scale, floor = ends
    value = keep * before_sum(c, at, bias, j, mode) + scale * total
    return floor if floor > value else value


@jit_inlined
def block_of(n, m, width, team):
    """Rows and columns of c that are this thread's: columns of tiles, or where their number does
    not divide evenly, rows.
    """
    if team[1] == 1 or (m + width - 1) // width % team[1] == 0:
        first, end = share(m, width, team)
        return 0, n, first, end - first
    first, end = share(n, np.int64(TILE_ROWS), team)
    return first, end - first, 0, m


@jit
def product(a, a_strides, b, b_strides, c, n, k, m, bias, mode, ends, team):
    """The same for more than TINY multiplications. What is done depends on the whole shape, so
    that threads that share it compute what one would.
    """
    (a_row, a_step), (b_step, b_column) = a_strides, b_strides
    panels = scratch(a, SCRATCH_BYTES)
    is_thin = m <= DOT_COLUMNS and k >= THIN_DEPTH and k * m <= panels.size
    is_dots = a_step == 1 and b_step == 1 and (is_thin or DOT_SHARE * n <= k)
    is_copied_dots = a_step == 1 and b_step != 1 and is_thin
    near = (ONE_ROW_BYTES if n == 1 else THIN_ROWS_BYTES) // b.itemsize
    is_rows = a_step == 1 and b_column == 1 and n <= THIN_ROWS and k * m > near
    is_columns = a_row == 1 and m <= DOT_COLUMNS and n >= THIN_HEIGHT and n * m <= panels.size
    packs = (
        a_row == 1 and a_step >= PACK_A_STEP and m >= PACK_A_COLUMNS,
        b_column != 1 or (m >= PACK_COLUMNS and n >= PACK_ROWS),
    )
    i, rows, j, columns = block_of(n, m, TILE_BYTES // a.itemsize, team)
    if rows <= 0 or columns <= 0:
        return
    a, b = vector(a, i * a_row, a.size - i * a_row), vector(b, j * b_column, b.size - j * b_column)
    c, bias = vector(c, i * m + j, c.size - i * m - j), vector(bias, j, bias.size - j)
    size = rows, k, columns
    if is_dots:
        dot_product(a, a_row, b, b_column, c, m, size, bias, mode, ends)
    elif is_copied_dots:
        for q in range(columns):
            for p in range(k):
                panels[q * k + p] = b[p * b_step + q * b_column]
        dot_product(a, a_row, panels, k, c, m, size, bias, mode, ends)
    elif is_rows:
        row_product(a, a_row, b, b_step, c, m, size, bias, mode, ends)
    elif is_columns:
        column_product(a, a_step, b, b_strides, c, m, size, bias, mode, ends, panels)
    else:
        blocked_product(a, a_strides, b, b_strides, c, m, size, bias, mode, ends, packs, panels)


# -------------------------------------------------------------------------------- thin


@jit_inlined
def dot_product(a, a_row, b, b_column, c, c_row, size, bias, mode, ends):
    """Rows of A and columns of B both lie in one piece."""
    (n, k, m), (keep, scale, floor) = size, ends
    for j in range(0, m, DOT_COLUMNS):
        for i in range(0, n, TILE_ROWS):
            dots(
                a, i * a_row, a_row, b, j * b_column, b_column, k, c, i * c_row + j, c_row,
                min(TILE_ROWS, n - i), min(DOT_COLUMNS, m - j), bias, j, mode, keep, scale, floor,
            )  # fmt: skip


@jit_inlined
def row_product(a, a_row, b, b_step, c, c_row, size, bias, mode, ends):
    """A few rows: each row of B is read once, in the order in which it lies."""
    (n, k, m), (keep, scale, floor) = size, ends
    for i in range(n):
        for j in range(m):
            c[i * c_row + j] = keep * before_sum(c, i * c_row + j, bias, j, mode)
    whole = k - k % 4
    for p in range(0, whole, 4):
        b0, b1 = vector(b, p * b_step, m), vector(b, (p + 1) * b_step, m)
        b2, b3 = vector(b, (p + 2) * b_step, m), vector(b, (p + 3) * b_step, m)
        for i in range(n):
            at = i * a_row + p
            a0, a1, a2, a3 = scale * a[at], scale * a[at + 1], scale * a[at + 2], scale * a[at + 3]
            row = vector(c, i * c_row, m)
            for j in range(m):
                row[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j])
    for i in range(n):
        row = vector(c, i * c_row, m)
        for p in range(whole, k):
            add_scaled(scale * a[i * a_row + p], vector(b, p * b_step, m), row)
        raise_to(floor, row)


@jit_inlined
def raise_to(floor, c):
    """c = max(floor, c)."""
    if floor > -np.inf:
        for i in range(c.size):
            c[i] = floor if floor > c[i] else c[i]


@jit_inlined
def add_scaled(factor, x, y):
    """y += factor·x."""
    for j in range(y.size):
        y[j] += factor * x[j]


@jit_inlined
def column_product(a, a_step, b, b_strides, c, c_row, size, bias, mode, ends, columns):
    """A few columns, with columns of A in one piece: c is summed up transposed in `columns`."""
    (n, k, m), (b_step, b_column) = size, b_strides
    for j in range(m):
        column = vector(columns, j * n, n)
        for i in range(n):
            column[i] = 0
        for p in range(k):
            add_scaled(b[p * b_step + j * b_column], vector(a, p * a_step, n), column)
    for i in range(n):
        for j in range(m):
            at = i * c_row + j
            c[at] = ended(columns[j * n + i], c, at, bias, j, mode, ends)


# ------------------------------------------------------------------------------- blocks


@jit_inlined
def blocked_product(
    a, a_strides, b, b_strides, c, c_row, size, bias, mode, ends, packs, panels
):  # fmt: skip
    (n, k, m), (keep, scale, floor), (packs_a, packs_b) = size, ends, packs
    (a_row, a_step), (b_step, b_column) = a_strides, b_strides
    panels_end = PANEL_BYTES // a.itemsize
    b_panels = vector(panels, 0, panels_end)
    a_panel = vector(panels, panels_end, panels.size - panels_end)
    width, block_columns = TILE_BYTES // a.itemsize, BLOCK_BYTES // a.itemsize
    for j in range(0, m, block_columns):
        columns = min(block_columns, m - j)
        for p in range(0, k, BLOCK_DEPTH):
            rows_b = min(BLOCK_DEPTH, k - p)
            # Without masks the tile reads whole vectors, so the last columns are packed anyway.
            packed_from = columns if HAS_MASKS else columns - columns % width
            if packs_b:
                packed_from = 0
            at = p * b_step + (j + packed_from) * b_column
            pack_b(b, at, b_step, b_column, rows_b, columns - packed_from, width, b_panels)
            block_mode, block_ends = mode, (keep, scale, floor)
            if p > 0:
                block_mode, block_ends = np.int64(ADD), (a.dtype.type(1), scale, floor)
            if p + BLOCK_DEPTH < k:
                block_ends = block_ends[0], scale, a.dtype.type(-np.inf)
            for i in range(0, n, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, n - i)
                a_at = i * a_row + p * a_step
                source, start, step = a, a_at, a_step
                if packs_a:
                    pack_a(a, a_at, a_step, rows, rows_b, a_panel)
                    source, start, step = a_panel, 0, rows
                block(
                    source, start, a_row, step, b, p * b_step + j, b_step, b_panels, packed_from,
                    c, i * c_row + j, c_row, rows, rows_b, columns, bias, j, block_mode, block_ends,
                )  # fmt: skip


@jit_inlined
def block(
    a, a_at, a_row, a_step, b, b_at, b_step, b_panels, packed_from,
    c, c_at, c_row, n, k, m, bias, bias_at, mode, ends,
):  # fmt: skip
    """One block of a against one of b; columns from `packed_from` on lie in `b_panels`."""
    keep, scale, floor = ends
    width = TILE_BYTES // a.itemsize
    for j in range(0, m, width):
        if j >= packed_from:
            source, start, step = b_panels, (j - packed_from) * k, width
        else:
            source, start, step = b, b_at + j, b_step
        for i in range(0, n, TILE_ROWS):
            tile(
                a, a_at + i * a_row, a_row, a_step, source, start, step, k,
                c, c_at + i * c_row + j, c_row, min(TILE_ROWS, n - i), min(width, m - j),
                bias, bias_at + j, mode, keep, scale, floor,
            )  # fmt: skip
