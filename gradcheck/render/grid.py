"""Grid: the entries of an array as the cells of a picture, few enough to be looked at."""

from dataclasses import dataclass

import numpy as np

from gradcheck.render.places import as_matrix, excess_of
from gradcheck.verdict import Array, Detail

Span = tuple[int, int]
"""The first and the last index that a row or a column of cells stands for."""

LIMIT = 64
"""Rows and columns of cells at most."""

LEVELS = (1.0, 1e3, 1e6, 1e9)
"""Error bars at which the colour of a cell changes. Bars of differences are 10 to 13 digits
below the gradient, so a mistake of a few percent lies beyond the last."""

SHORT = 16
"""Of so many rows or columns all are shown; of more, those in which something was measured."""


@dataclass(frozen=True)
class Grid:
    """Cells, each with the entry of its part of the array that is furthest off.

    Attributes
    ----------
    values : in error bars; NaN where nothing was measured.
    entries : the flat index of the entry that a cell shows, -1 where nothing was measured.
    rows, columns : the indices that they stand for.
    is_gapped : rows or columns in which nothing was measured are left out.
    """

    values: Array
    entries: Array
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    is_gapped: bool = False

    @property
    def levels(self) -> Array:
        """0 within the bar, then ±1, ±2, … by `LEVELS`; meaningless where nothing is known."""
        steps = np.searchsorted(LEVELS, abs(self.values), side="left")
        return np.where(self.values < 0, -steps, steps)

    @property
    def is_reduced(self) -> bool:
        """Some cells stand for several entries."""
        return any(first != last for first, last in self.rows + self.columns)


def grid_of(detail: Detail, most_rows: int = LIMIT, most_columns: int = LIMIT) -> Grid:
    """Analytic minus numeric in units of the error bar, in at most so many cells."""
    excess = as_matrix(excess_of(detail))
    measured = ~np.isnan(excess)
    rows = spans(measured.any(axis=1), most_rows)
    columns = spans(measured.any(axis=0), most_columns)
    values = np.full((len(rows), len(columns)), np.nan)
    entries = np.full(values.shape, -1)
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            block = abs(excess[top : bottom + 1, left : right + 1])
            if np.isnan(block).all():
                continue
            row, column = np.unravel_index(int(np.nanargmax(block)), block.shape)
            values[i, j] = excess[top + row, left + column]
            entries[i, j] = (top + row) * excess.shape[1] + left + column
    covered = [sum(last - first + 1 for first, last in lines) for lines in (rows, columns)]
    return Grid(values, entries, rows, columns, covered != list(excess.shape))


def spans(is_measured: Array, most: int) -> tuple[Span, ...]:
    """Each index by itself; of many, those measured; of too many, blocks of equal size."""
    size = len(is_measured)
    if size == 0:
        return ()
    known = np.flatnonzero(is_measured).tolist()
    if size <= min(SHORT, most):
        known = list(range(size))
    if 0 < len(known) <= most:
        return tuple((k, k) for k in known)
    block = -(-size // most)
    return tuple((k, min(k + block, size) - 1) for k in range(0, size, block))
