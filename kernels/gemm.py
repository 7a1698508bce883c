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

from kernels.dots import DOT_COLUMNS, dots
from kernels.jit import jit, jit_inlined
from kernels.simd import (
    HAS_MASKS,
    TILE_BYTES,
    TILE_ROWS,
    VECTOR_BYTES,
    copy_row,
    scratch,
    transpose,
)
from kernels.tile import ADD, SET, SET_BIAS, tile
from kernels.views import flat, vector

TINY = 64
"""Up to so many multiplications plain loops are faster than setting the tile up."""

THIN_ROWS = 3
"""Up to so many rows the tile would wait for memory: rows of b are read in one piece instead."""

DOT_SHARE = 10
"""Turning b over costs more than the dot products' last additions for up to 1/so many rows of a
as a sum has terms."""

BLOCK_DEPTH = 256
BLOCK_BYTES = 1024 // TILE_BYTES * TILE_BYTES
"""A block of b: so many rows, and so many bytes of each, a whole number of tiles."""

BLOCK_ROWS = 8 * TILE_ROWS
"""Rows of a block of a; with the block of b it stays in the second cache."""

PANEL_BYTES = BLOCK_DEPTH * BLOCK_BYTES

SCRATCH_BYTES = PANEL_BYTES + BLOCK_DEPTH * BLOCK_ROWS * 8
"""On the stack: the panels of a block of b, and behind them a block of a."""

PACK_COLUMNS, PACK_ROWS = 256, 48
"""From so many columns of b on, and rows of a to share the cost, packing b pays: rows of b are
then too far apart for the first cache."""

PACK_A_STEP, PACK_A_COLUMNS = 128, 32
"""Packing a transposed a pays where what the tile reads one after another lies so far apart or
farther, for so many columns of b to share the cost."""


@jit_inlined
def matmul_bias(a, b, bias, c):
    """c = a @ b + bias;  a (n, k), b (k, m), bias (m,), c (n, m)."""
    matmul_bias_floor(a, b, bias, -np.inf, c)


@jit_inlined
def matmul_bias_floor(a, b, bias, floor, c):
    """c = max(floor, a @ b + bias): with a floor of 0 that is relu, with -inf nothing."""
    ends = c.dtype.type(1), c.dtype.type(1), c.dtype.type(floor)
    multiply(
        flat(a), strides(a), flat(b), strides(b), c, a.shape[1], bias, np.int64(SET_BIAS), ends
    )


@jit_inlined
def matmul_transpose_a(a, b, c):
    """c = aᵀ @ b;  a (n, k), b (n, m), c (k, m)."""
    step, row = strides(a)
    multiply(
        flat(a), (row, step), flat(b), strides(b), c, a.shape[0], vector(flat(c), 0, 0),
        np.int64(SET), plain(c),
    )  # fmt: skip


@jit_inlined
def matmul_transpose_a_onto(a, b, keep, scale, c):
    """c = keep·c + scale·(aᵀ @ b), likewise."""
    step, row = strides(a)
    kind = c.dtype.type
    multiply(
        flat(a), (row, step), flat(b), strides(b), c, a.shape[0], vector(flat(c), 0, 0),
        np.int64(ADD), (kind(keep), kind(scale), kind(-np.inf)),
    )  # fmt: skip


@jit_inlined
def matmul_transpose_b(a, b, c):
    """c = a @ bᵀ;  a (n, m), b (k, m), c (n, k)."""
    column, step = strides(b)
    multiply(
        flat(a), strides(a), flat(b), (step, column), c, a.shape[1], vector(flat(c), 0, 0),
        np.int64(SET), plain(c),
    )  # fmt: skip


@jit_inlined
def plain(c):
    """keep, scale and floor that change nothing."""
    kind = c.dtype.type
    return kind(1), kind(1), kind(-np.inf)


@jit
def strides(array):
    """Elements from row to row and from column to column."""
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


@jit_inlined
def multiply(a, a_strides, b, b_strides, c, k, bias, mode, ends):
    """c = max(floor, keep·before + scale·A·B), where A[i, p] = a[i·a_row + p·a_step] and
    B[p, j] = b[p·b_step + j·b_column].

    a, b are flat; A (n, k), B (k, m), c (n, m); bias (m,), or empty where there is none. One
    stride of A and one of B is 1. `mode` says what `before` is; `ends` is (keep, scale, floor).
    """
    (a_row, a_step), (b_step, b_column) = a_strides, b_strides
    n, m = c.shape
    if n * k * m <= TINY:
        for i in range(n):
            for j in range(m):
                total = a.dtype.type(0)
                for p in range(k):
                    total += a[i * a_row + p * a_step] * b[p * b_step + j * b_column]
                c[i, j] = ended(total, flat(c), i * m + j, bias, j, mode, ends)
    else:
        product(a, a_row, a_step, b, b_step, b_column, flat(c), n, k, m, bias, mode, ends)


@jit_inlined
def ended(total, c, at, bias, j, mode, ends):
    """max(floor, keep·before + scale·total)."""
    keep, scale, floor = ends
    before = c.dtype.type(0)
    if mode == SET_BIAS:
        before = bias[j]
    elif mode == ADD:
        before = c[at]
    value = keep * before + scale * total
    return floor if floor > value else value


@jit
def product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias, mode, ends):
    """The same for c in one dimension and more than TINY multiplications."""
    panels = scratch(a, SCRATCH_BYTES)
    is_thin = m <= DOT_COLUMNS and k * m <= panels.size
    if a_step == 1 and b_step == 1 and (is_thin or DOT_SHARE * n <= k):
        dot_product(a, a_row, b, b_column, c, n, k, m, bias, mode, ends)
    elif a_step == 1 and is_thin:
        for j in range(m):
            for p in range(k):
                panels[j * k + p] = b[p * b_step + j * b_column]
        dot_product(a, a_row, panels, k, c, n, k, m, bias, mode, ends)
    elif a_step == 1 and b_column == 1 and n <= THIN_ROWS:
        row_product(a, a_row, b, b_step, c, n, k, m, bias, mode, ends)
    elif a_row == 1 and m <= DOT_COLUMNS and n * m <= panels.size:
        column_product(a, a_step, b, b_step, b_column, c, n, k, m, bias, mode, ends, panels)
    else:
        blocked_product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias, mode, ends, panels)


# -------------------------------------------------------------------------------- thin


@jit_inlined
def dot_product(a, a_row, b, b_column, c, n, k, m, bias, mode, ends):
    """Rows of A and columns of B both lie in one piece."""
    keep, scale, floor = ends
    for j in range(0, m, DOT_COLUMNS):
        for i in range(0, n, TILE_ROWS):
            dots(
                a, i * a_row, a_row, b, j * b_column, b_column, k, c, i * m + j, m,
                min(TILE_ROWS, n - i), min(DOT_COLUMNS, m - j), bias, j, mode, keep, scale, floor,
            )  # fmt: skip


@jit_inlined
def row_product(a, a_row, b, b_step, c, n, k, m, bias, mode, ends):
    """A few rows: each row of B is read once, in the order in which it lies."""
    keep, scale, floor = ends
    for i in range(n):
        for j in range(m):
            before = c.dtype.type(0)
            if mode == SET_BIAS:
                before = bias[j]
            elif mode == ADD:
                before = c[i * m + j]
            c[i * m + j] = keep * before
    whole = k - k % 4
    for p in range(0, whole, 4):
        b0, b1 = vector(b, p * b_step, m), vector(b, (p + 1) * b_step, m)
        b2, b3 = vector(b, (p + 2) * b_step, m), vector(b, (p + 3) * b_step, m)
        for i in range(n):
            at = i * a_row + p
            a0, a1, a2, a3 = scale * a[at], scale * a[at + 1], scale * a[at + 2], scale * a[at + 3]
            row = vector(c, i * m, m)
            for j in range(m):
                row[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j])
    for p in range(whole, k):
        for i in range(n):
            add_scaled(scale * a[i * a_row + p], vector(b, p * b_step, m), vector(c, i * m, m))
    raise_to(floor, vector(c, 0, n * m))


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
def column_product(a, a_step, b, b_step, b_column, c, n, k, m, bias, mode, ends, columns):
    """A few columns, with columns of A in one piece: c is summed up transposed in `columns`."""
    for j in range(m):
        column = vector(columns, j * n, n)
        for i in range(n):
            column[i] = 0
        for p in range(k):
            add_scaled(b[p * b_step + j * b_column], vector(a, p * a_step, n), column)
    for i in range(n):
        for j in range(m):
            c[i * m + j] = ended(columns[j * n + i], c, i * m + j, bias, j, mode, ends)


# ------------------------------------------------------------------------------- blocks


@jit_inlined
def blocked_product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias, mode, ends, panels):
    size = PANEL_BYTES // a.itemsize
    b_panels, a_panel = vector(panels, 0, size), vector(panels, size, panels.size - size)
    width = TILE_BYTES // a.itemsize
    block_columns = BLOCK_BYTES // a.itemsize
    packs_b = b_column != 1 or (m >= PACK_COLUMNS and n >= PACK_ROWS)
    packs_a = a_row == 1 and a_step >= PACK_A_STEP and m >= PACK_A_COLUMNS
    keep, scale, floor = ends
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
            for i in range(0, n, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, n - i)
                a_at = i * a_row + p * a_step
                source, start, step = a, a_at, a_step
                if packs_a:
                    pack_a(a, a_at, a_step, rows, rows_b, a_panel)
                    source, start, step = a_panel, 0, rows
                block(
                    source, start, a_row, step,
                    b, p * b_step + j, b_step, b_panels, packed_from,
                    c, i * m + j, m, rows, rows_b, columns, bias, j,
                    mode if p == 0 else ADD,
                    (keep if p == 0 else one(a), scale, floor if p + BLOCK_DEPTH >= k else lowest(a)),
                )  # fmt: skip


@jit_inlined
def one(a):
    return a.dtype.type(1)


@jit_inlined
def lowest(a):
    return a.dtype.type(-np.inf)


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


@jit_inlined
def pack_a(a, at, step, n, k, panel):
    """Copies A (n, k), whose columns lie in one piece, column after column."""
    for p in range(k):
        column, packed = vector(a, at + p * step, n), vector(panel, p * n, n)
        for i in range(n):
            packed[i] = column[i]


@jit_inlined
def pack_b(b, at, step, column, k, m, width, panels):
    """Copies B (k, m) into panels of `width` columns, one after another, row by row.

    The last panel is filled up with zeros, unless the columns of B lie in one piece.
    """
    lanes = VECTOR_BYTES // b.itemsize
    for j in range(0, m, width):
        filled = min(width, m - j)
        place, start = j * k, at + j * column
        whole = 0
        if step == 1:
            # The last square's rows from k on are written over by the next panel, or lie in the
            # room for the block of a, which is packed later.
            whole = k if HAS_MASKS else k - k % lanes
            for p in range(0, whole, lanes):
                for q in range(0, filled, lanes):
                    transpose(
                        b, start + q * column + p, column, min(lanes, filled - q),
                        min(lanes, k - p), panels, place + p * width + q, width,
                    )  # fmt: skip
        elif filled == width:
            whole = k
            for p in range(k):
                copy_row(b, start + p * step, panels, place + p * width)
        for p in range(whole, k):
            for q in range(filled):
                panels[place + p * width + q] = b[start + p * step + q * column]
            for q in range(filled, width):
                panels[place + p * width + q] = 0
