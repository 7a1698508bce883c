"""Panels of the matrix product: how large its blocks are, and how they are copied, which turns
them so that the register tile reads one number after the other.
"""

from kernels.jit import jit_inlined
from kernels.simd import (
    HAS_MASKS,
    TILE_BYTES,
    TILE_ROWS,
    VECTOR_BYTES,
    copy_row,
    second_cache_bytes,
    transpose,
)
from kernels.views import vector

BLOCK_DEPTH = 256
"""Rows of a block of b: the order of summation, so the same on any processor."""

BLOCK_ROWS = 16 * TILE_ROWS
"""Rows of a block of a; with the block of b it stays in the second cache."""

PANEL_BYTES = 2**18
"""A block of b, or less: enough on any processor, so that code compiled on another one finds the
room it expects."""


def block_bytes(cache: int) -> int:
    """Bytes of a row of a block of b: whole tiles, and in all a quarter of the second cache."""
    most = min(PANEL_BYTES, cache // 4) // BLOCK_DEPTH
    return max(most // TILE_BYTES, 1) * TILE_BYTES


BLOCK_BYTES = block_bytes(second_cache_bytes())

SCRATCH_BYTES = PANEL_BYTES + BLOCK_DEPTH * BLOCK_ROWS * 8
"""On the stack: the panels of a block of b, and behind them a block of a."""


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
