"""The matrix product, in the three forms that an affine layer needs.

Three regimes by size. Tiny or thin: plain loops. Small: the register tile reads a and b where
they lie. Large, or where b is transposed: blocks of b, and of a where its rows lie badly, are
first copied into panels as wide and as high as the tile, which absorbs the transposes and
keeps them in the first two caches (Goto & van de Geijn 2008, "Anatomy of high-performance
matrix multiplication").
"""

from kernels.jit import jit, jit_inlined
from kernels.simd import (
    TILE_BYTES,
    TILE_ROWS,
    VECTOR_BYTES,
    copy_column,
    copy_row,
    scratch,
    transpose,
)
from kernels.tile import ADD, SET, SET_BIAS, tile
from kernels.views import flat, vector

TINY = 64
"""Up to so many multiplications plain loops are faster than setting the tile up."""

THIN_ROWS, THIN_COLUMNS = 3, 4
"""Up to so many rows or columns the tile would be nearly empty."""

BLOCK_COLUMNS = 256 // (TILE_BYTES // 4) * (TILE_BYTES // 4)
BLOCK_BYTES = 1024
"""A block of b: so many columns, a whole number of tiles in both dtypes, and rows that span so
many bytes of one column."""

BLOCK_ROWS = 8 * TILE_ROWS
"""Rows of a block of a; with the block of b it stays in the second cache."""

PANEL_BYTES = BLOCK_COLUMNS * BLOCK_BYTES

SLACK_BYTES = VECTOR_BYTES
"""The last transposed square of a panel of a writes up to so much too far."""
SCRATCH_BYTES = PANEL_BYTES + BLOCK_ROWS * BLOCK_BYTES + SLACK_BYTES
"""On the stack: panels of a block of b, and behind them those of a block of a."""

PACK_COLUMNS, PACK_ROWS = 256, 48
"""From so many columns of b on, and rows of a to share the cost, packing b pays: rows of b are
then too far apart for the first cache."""

PACK_A_STEP, PACK_A_COLUMNS = 256, 32
"""Packing a pays where what the tile reads one after another lies so far apart or farther, for
so many columns of b to share the cost."""


@jit_inlined
def matmul_bias(a, b, bias, c):
    """c = a @ b + bias;  a (n, k), b (k, m), bias (m,), c (n, m)."""
    multiply(flat(a), strides(a), flat(b), strides(b), c, a.shape[1], bias)


@jit_inlined
def matmul_transpose_a(a, b, c):
    """c = aᵀ @ b;  a (n, k), b (n, m), c (k, m)."""
    step, row = strides(a)
    multiply(flat(a), (row, step), flat(b), strides(b), c, a.shape[0], vector(flat(c), 0, 0))


@jit_inlined
def matmul_transpose_b(a, b, c):
    """c = a @ bᵀ;  a (n, m), b (k, m), c (n, k)."""
    column, step = strides(b)
    multiply(flat(a), strides(a), flat(b), (step, column), c, a.shape[1], vector(flat(c), 0, 0))


@jit
def strides(array):
    """Elements from row to row and from column to column."""
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


@jit_inlined
def multiply(a, a_strides, b, b_strides, c, k, bias):
    """c = A·B (+ bias), where A[i, p] = a[i·a_row + p·a_step], B[p, j] = b[p·b_step + j·b_column].

    a, b are flat; A (n, k), B (k, m), c (n, m); bias (m,), or empty where there is none. One
    stride of A and one of B is 1.
    """
    (a_row, a_step), (b_step, b_column) = a_strides, b_strides
    n, m = c.shape
    if n * k * m <= TINY:
        for i in range(n):
            for j in range(m):
                total = bias[j] if bias.size > 0 else a.dtype.type(0)
                for p in range(k):
                    total += a[i * a_row + p * a_step] * b[p * b_step + j * b_column]
                c[i, j] = total
    else:
        product(a, a_row, a_step, b, b_step, b_column, flat(c), n, k, m, bias)


@jit
def product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias):
    """The same for c in one dimension and more than TINY multiplications."""
    mode = SET_BIAS if bias.size > 0 else SET
    panels = scratch(a, SCRATCH_BYTES)
    is_thin = m <= THIN_COLUMNS and max(n, k) * m <= PANEL_BYTES // a.itemsize
    lies_well = b_step == 1 and (n <= THIN_ROWS or m <= THIN_COLUMNS)
    if a_step == 1 and (lies_well or is_thin):
        columns, apart = b, b_column
        if not lies_well:
            columns, apart = panels, k
            for j in range(m):
                for p in range(k):
                    columns[j * k + p] = b[p * b_step + j * b_column]
        dot_product(a, a_row, columns, apart, c, n, k, m, bias, mode)
    elif a_step == 1 and n <= THIN_ROWS:
        row_product(a, a_row, b, b_step, c, n, k, m, bias, mode)
    elif is_thin:
        column_product(a, a_step, b, b_step, b_column, c, n, k, m, bias, mode, panels)
    else:
        blocked_product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias, mode, panels)


# -------------------------------------------------------------------------------- thin


@jit_inlined
def start(sums, bias, mode):
    """What the products are added to."""
    for j in range(sums.size):
        sums[j] = bias[j] if mode == SET_BIAS else sums.dtype.type(0)


@jit_inlined
def dot_product(a, a_row, b, b_column, c, n, k, m, bias, mode):
    """Rows of A and columns of B both lie in one piece: entry by entry."""
    for i in range(n):
        row = vector(a, i * a_row, k)
        for j in range(m):
            column = vector(b, j * b_column, k)
            total = bias[j] if mode == SET_BIAS else a.dtype.type(0)
            for p in range(k):
                total += row[p] * column[p]
            c[i * m + j] = total


@jit_inlined
def row_product(a, a_row, b, b_step, c, n, k, m, bias, mode):
    """A few rows: each row of B is read once, in the order in which it lies."""
    for i in range(n):
        start(vector(c, i * m, m), bias, mode)
    whole = k - k % 4
    for p in range(0, whole, 4):
        b0, b1 = vector(b, p * b_step, m), vector(b, (p + 1) * b_step, m)
        b2, b3 = vector(b, (p + 2) * b_step, m), vector(b, (p + 3) * b_step, m)
        for i in range(n):
            at = i * a_row + p
            a0, a1, a2, a3 = a[at], a[at + 1], a[at + 2], a[at + 3]
            row = vector(c, i * m, m)
            for j in range(m):
                row[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j])
    for p in range(whole, k):
        for i in range(n):
            add_scaled(a[i * a_row + p], vector(b, p * b_step, m), vector(c, i * m, m))


@jit_inlined
def add_scaled(factor, x, y):
    """y += factor·x."""
    for j in range(y.size):
        y[j] += factor * x[j]


@jit_inlined
def column_product(a, a_step, b, b_step, b_column, c, n, k, m, bias, mode, columns):
    """A few columns, with columns of A in one piece: c is summed up transposed in `columns`."""
    for j in range(m):
        column = vector(columns, j * n, n)
        for i in range(n):
            column[i] = bias[j] if mode == SET_BIAS else a.dtype.type(0)
        for p in range(k):
            add_scaled(b[p * b_step + j * b_column], vector(a, p * a_step, n), column)
    for i in range(n):
        for j in range(m):
            c[i * m + j] = columns[j * n + i]


# ------------------------------------------------------------------------------- blocks


@jit_inlined
def blocked_product(a, a_row, a_step, b, b_step, b_column, c, n, k, m, bias, mode, panels):
    size = PANEL_BYTES // a.itemsize
    b_panels, a_panels = vector(panels, 0, size), vector(panels, size, panels.size - size)
    width = TILE_BYTES // a.itemsize
    depth = BLOCK_BYTES // a.itemsize
    packs_b = b_column != 1 or (m >= PACK_COLUMNS and n >= PACK_ROWS)
    packs_a = max(a_row, a_step) >= PACK_A_STEP and m >= PACK_A_COLUMNS
    for j in range(0, m, BLOCK_COLUMNS):
        columns = min(BLOCK_COLUMNS, m - j)
        for p in range(0, k, depth):
            rows_b = min(depth, k - p)
            # Columns that do not fill a tile are packed in any case: it reads whole vectors.
            packed_from = 0 if packs_b else columns - columns % width
            at = p * b_step + (j + packed_from) * b_column
            pack_b(b, at, b_step, b_column, rows_b, columns - packed_from, width, b_panels)
            for i in range(0, n, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, n - i)
                a_at = i * a_row + p * a_step
                block_mode = mode if p == 0 else ADD
                rows_a, start_a, panel_a, row_a, step_a = a, a_at, a_row, a_row, a_step
                if packs_a:
                    pack_a(a, a_at, a_row, a_step, rows, rows_b, a_panels)
                    rows_a, start_a, panel_a, row_a, step_a = a_panels, 0, rows_b, 1, TILE_ROWS
                block(
                    rows_a, start_a, panel_a, row_a, step_a,
                    b, p * b_step + j, b_step, b_panels, packed_from,
                    c, i * m + j, m, rows, rows_b, columns, bias, j, block_mode,
                )  # fmt: skip


@jit_inlined
def block(
    a, a_at, a_panel_row, a_row, a_step, b, b_at, b_step, b_panels, packed_from,
    c, c_at, c_row, n, k, m, bias, bias_at, mode,
):  # fmt: skip
    """One block of a against one of b; columns from `packed_from` on lie in `b_panels`.

    Row i = TILE_ROWS·q of a begins at a_at + i·a_panel_row; the rows of its tile are a_row apart.
    """
    width = TILE_BYTES // a.itemsize
    for j in range(0, m, width):
        if j >= packed_from:
            source, start, step = b_panels, (j - packed_from) * k, width
        else:
            source, start, step = b, b_at + j, b_step
        for i in range(0, n, TILE_ROWS):
            tile(
                a, a_at + i * a_panel_row, a_row, a_step, source, start, step, k,
                c, c_at + i * c_row + j, c_row, min(TILE_ROWS, n - i), min(width, m - j),
                bias, bias_at + j, mode,
            )  # fmt: skip


@jit_inlined
def pack_a(a, at, row, step, n, k, panels):
    """Copies A (n, k) into panels of TILE_ROWS rows, one after another, column by column."""
    lanes = VECTOR_BYTES // a.itemsize
    for i in range(0, n, TILE_ROWS):
        filled = min(TILE_ROWS, n - i)
        place = i * k
        whole = 0
        if step == 1:
            whole = k - k % lanes
            for p in range(0, whole, lanes):
                # From the last rows to the first: a square writes over what follows its column.
                for q in range((TILE_ROWS - 1) // lanes * lanes, -1, -lanes):
                    if q < filled:
                        transpose(
                            a, at + (i + q) * row + p, row, filled - q,
                            panels, place + p * TILE_ROWS + q, TILE_ROWS,
                        )  # fmt: skip
        elif row == 1 and filled == TILE_ROWS:
            whole = k
            for p in range(k):
                copy_column(a, at + i + p * step, panels, place + p * TILE_ROWS)
        for p in range(whole, k):
            start = at + i * row + p * step
            for q in range(filled):
                panels[place + p * TILE_ROWS + q] = a[start + q * row]


@jit_inlined
def pack_b(b, at, step, column, k, m, width, panels):
    """Copies B (k, m) into panels of `width` columns, one after another, row by row.

    The last panel is filled up with zeros.
    """
    lanes = VECTOR_BYTES // b.itemsize
    for j in range(0, m, width):
        filled = min(width, m - j)
        place, start = j * k, at + j * column
        whole = 0
        if step == 1 and filled == width:
            whole = k - k % lanes
            for p in range(0, whole, lanes):
                for q in range(0, width, lanes):
                    transpose(
                        b, start + q * column + p, column, lanes,
                        panels, place + p * width + q, width,
                    )  # fmt: skip
        elif column == 1 and filled == width:
            whole = k
            for p in range(k):
                copy_row(b, start + p * step, panels, place + p * width)
        for p in range(whole, k):
            for q in range(filled):
                panels[place + p * width + q] = b[start + p * step + q * column]
            for q in range(filled, width):
                panels[place + p * width + q] = 0
