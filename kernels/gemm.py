"""The matrix product, in the three forms that an affine layer needs.

Three regimes by size. Tiny: plain loops. Small: the register tile reads a and b where they
lie. Large, or where b is transposed: blocks of b are copied first into panels as wide as the
tile, which absorbs the transpose and keeps a panel in the first cache while rows of a stream
past it (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication").
"""

from kernels.jit import jit
from kernels.simd import TILE_BYTES, TILE_ROWS, scratch, tile
from kernels.views import flat

TINY = 2048
"""Up to so many multiplications plain loops are faster than setting the tile up."""

BLOCK_COLUMNS = 256 // (TILE_BYTES // 4) * (TILE_BYTES // 4)
BLOCK_BYTES = 1024
"""A block of b: so many columns, a whole number of tiles in both dtypes, and rows that span so
many bytes of one column."""

BLOCK_ROWS = 16 * TILE_ROWS
"""Rows of a for each block of b; with it they stay in the second cache."""

PANEL_BYTES = BLOCK_COLUMNS * BLOCK_BYTES

PACK_COLUMNS, PACK_ROWS = 256, 64
"""From so many columns of b on, and rows of a to share the cost, packing b pays: rows of b are
then too far apart for the first cache."""


@jit
def matmul_bias(a, b, bias, c):
    """c = a @ b + bias;  a (n, k), b (k, m), bias (m,), c (n, m)."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = bias[j]
    a_row, a_step = strides(a)
    b_step, b_column = strides(b)
    n, k, m = a.shape[0], a.shape[1], b.shape[1]
    add_product(flat(a), a_row, a_step, flat(b), b_step, b_column, flat(c), n, k, m)


@jit
def matmul_transpose_a(a, b, c):
    """c = aᵀ @ b;  a (n, k), b (n, m), c (k, m)."""
    clear(c)
    a_step, a_row = strides(a)
    b_step, b_column = strides(b)
    n, k, m = a.shape[1], a.shape[0], b.shape[1]
    add_product(flat(a), a_row, a_step, flat(b), b_step, b_column, flat(c), n, k, m)


@jit
def matmul_transpose_b(a, b, c):
    """c = a @ bᵀ;  a (n, m), b (k, m), c (n, k)."""
    clear(c)
    a_row, a_step = strides(a)
    b_column, b_step = strides(b)
    n, k, m = a.shape[0], a.shape[1], b.shape[0]
    add_product(flat(a), a_row, a_step, flat(b), b_step, b_column, flat(c), n, k, m)


@jit
def strides(array):
    """Elements from row to row and from column to column."""
    return array.strides[0] // array.itemsize, array.strides[1] // array.itemsize


@jit
def clear(c):
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = 0


@jit
def add_product(a, a_row, a_step, b, b_step, b_column, c, n, k, m):
    """c += A·B, where A[i, p] = a[i·a_row + p·a_step] and B[p, j] = b[p·b_step + j·b_column].

    a, b, c are flat; A (n, k), B (k, m), c (n, m) in rows.
    """
    if n * k * m <= TINY:
        add_tiny(a, a_row, a_step, b, b_step, b_column, c, n, k, m)
    else:
        add_blocks(a, a_row, a_step, b, b_step, b_column, c, n, k, m)


@jit
def add_tiny(a, a_row, a_step, b, b_step, b_column, c, n, k, m):
    for i in range(n):
        for p in range(k):
            factor = a[i * a_row + p * a_step]
            for j in range(m):
                c[i * m + j] += factor * b[p * b_step + j * b_column]


@jit
def add_blocks(a, a_row, a_step, b, b_step, b_column, c, n, k, m):
    panels = scratch(a, PANEL_BYTES)
    width = TILE_BYTES // a.itemsize
    depth = BLOCK_BYTES // a.itemsize
    is_packed = b_column != 1 or (m >= PACK_COLUMNS and n >= PACK_ROWS)
    for j in range(0, m, BLOCK_COLUMNS):
        columns = min(BLOCK_COLUMNS, m - j)
        for p in range(0, k, depth):
            rows_b = min(depth, k - p)
            # Columns that do not fill a tile are packed in any case: the tile reads whole rows.
            packed_from = 0 if is_packed else columns - columns % width
            at = p * b_step + (j + packed_from) * b_column
            pack(b, at, b_step, b_column, rows_b, columns - packed_from, width, panels)
            for i in range(0, n, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, n - i)
                a_at = i * a_row + p * a_step
                add_block(
                    a, a_at, a_row, a_step, b, p * b_step + j, b_step, panels, packed_from,
                    c, i * m + j, m, rows, rows_b, columns, width,
                )  # fmt: skip


@jit
def add_block(
    a, a_at, a_row, a_step, b, b_at, b_step, panels, packed_from,
    c, c_at, c_row, n, k, m, width,
):  # fmt: skip
    """One block of a against one of b; columns from `packed_from` on lie in `panels`."""
    for j in range(0, m, width):
        if j >= packed_from:
            source, start, step = panels, (j - packed_from) * k, width
        else:
            source, start, step = b, b_at + j, b_step
        for i in range(0, n, TILE_ROWS):
            tile(
                a, a_at + i * a_row, a_row, a_step, source, start, step, k,
                c, c_at + i * c_row + j, c_row, min(TILE_ROWS, n - i), min(width, m - j),
            )  # fmt: skip


@jit
def pack(b, at, step, column, k, m, width, panels):
    """Copies B (k, m) into panels of `width` columns, one after another, row by row.

    The last panel is filled up with zeros.
    """
    place = 0
    for j in range(0, m, width):
        filled = min(width, m - j)
        for p in range(k):
            start = at + p * step + j * column
            for q in range(filled):
                panels[place + q] = b[start + q * column]
            for q in range(filled, width):
                panels[place + q] = 0
            place += width
