"""A heat map of analytic minus numeric in units of the error bar, as inline SVG.

Colours are classes of the style sheet: the picture itself knows no theme.
"""

from collections.abc import Iterator
from html import escape

import numpy as np

from gradcheck.render.grid import LEVELS, Grid, Span, grid_of
from gradcheck.render.numbers import bars, measurement
from gradcheck.verdict import Detail

WIDTH = 640
"""Of the picture, in pixels, where the cells allow it."""

SMALLEST, LARGEST = 9, 26
"""The side of a cell."""

TOP = 16
"""Room above the cells, for the indices of columns."""

LETTER = 6.5
"""Width of a digit of a label."""

TICKS = 16
"""Labels along an axis, at most."""

CAPTION = (
    "Analytic minus numeric, in error bars: grey within the bar, blue where the gradient is below "
    "the differences, red where it is above."
)


def heat_map(detail: Detail) -> str:
    """A figure with picture, legend and, where entries were left out, a caption; or ''."""
    grid = grid_of(detail)
    if np.isnan(grid.values).all():
        return ""
    caption = f"{CAPTION} {explained(grid)}".strip()
    return f"<figure>{picture(grid, detail)}{legend()}<figcaption>{caption}</figcaption></figure>"


def explained(grid: Grid) -> str:
    """What the picture leaves out."""
    sentences = []
    if grid.is_gapped:
        sentences.append("Rows and columns in which nothing was measured are left out.")
    if grid.is_reduced:
        sentences.append("A cell stands for several entries and shows that which is furthest off.")
    return " ".join(sentences)


def picture(grid: Grid, detail: Detail) -> str:
    rows, columns = grid.values.shape
    side = min(max(WIDTH // columns, SMALLEST), LARGEST)
    is_vector = detail.numeric.ndim < 2
    left = 4.0 if is_vector else 6 + LETTER * max(len(name(span)) for span in grid.rows)
    width, height = left + columns * side + 12, TOP + rows * side + 2
    parts = [
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="heat map">',
        *cells(grid, detail, left, side),
        hatching(grid, left, side),
        *column_labels(grid.columns, left, side),
        *([] if is_vector else row_labels(grid.rows, left, side)),
        "</svg>",
    ]
    return "".join(parts)


def cells(grid: Grid, detail: Detail, left: float, side: int) -> Iterator[str]:
    levels = grid.levels
    for (i, j), value in np.ndenumerate(grid.values):
        place = (
            f'x="{left + j * side:g}" y="{TOP + i * side}" width="{side - 1}" height="{side - 1}"'
        )
        if np.isnan(value):
            yield f'<rect class="unknown" {place}><title>not measured</title></rect>'
        else:
            title = escape(hover(detail, int(grid.entries[i, j]), float(value)))
            level = class_of(int(levels[i, j]))
            yield f'<rect class="cell {level}" {place}><title>{title}</title></rect>'


def class_of(level: int) -> str:
    if level == 0:
        return "level-0"
    return f"{'more' if level > 0 else 'less'}-{abs(level)}"


def hover(detail: Detail, entry: int, excess: float) -> str:
    """The numbers of one entry."""
    index = np.unravel_index(entry, detail.numeric.shape)
    place = "[" + ", ".join(str(int(k)) for k in index) + "]"
    numbers = (array[index] for array in (detail.analytic, detail.numeric, detail.error_bar))
    sign = "−" if excess < 0 else ""
    return f"{place} {measurement(*map(float, numbers))}: {sign}{bars(excess)}"


def hatching(grid: Grid, left: float, side: int) -> str:
    """A stroke across each cell that was not measured."""
    inner = side - 1
    strokes = [
        f"M{left + j * side:g} {TOP + i * side + inner}l{inner} {-inner}"
        for i, j in np.argwhere(np.isnan(grid.values)).tolist()
    ]
    return f'<path class="hatch" d="{"".join(strokes)}"/>' if strokes else ""


def column_labels(columns: tuple[Span, ...], left: float, side: int) -> Iterator[str]:
    widest = LETTER * max(len(name(span)) for span in columns) + 6
    for j in ticks(len(columns), -(-int(widest) // side)):
        x = left + (j + 0.5) * side - 0.5
        yield f'<text x="{x:g}" y="{TOP - 5}" text-anchor="middle">{name(columns[j])}</text>'


def row_labels(rows: tuple[Span, ...], left: float, side: int) -> Iterator[str]:
    for i in ticks(len(rows), -(-12 // side)):
        y = TOP + (i + 0.5) * side + 3
        yield f'<text x="{left - 5:g}" y="{y:g}" text-anchor="end">{name(rows[i])}</text>'


def ticks(count: int, apart: int) -> range:
    """Every k-th line, so that labels neither touch nor are too many."""
    return range(0, count, max(apart, -(-count // TICKS)))


def name(span: Span) -> str:
    first, last = span
    return str(first) if first == last else f"{first}–{last}"


def legend() -> str:
    """The scale: a box for each level, and between two boxes the error bars that part them."""
    top = len(LEVELS)
    box, middle = 46, 10
    parts = []
    for k, level in enumerate(range(-top, top + 1)):
        parts.append(
            f'<rect class="{class_of(level)}" x="{k * box}" width="{box - 1}" height="10"/>'
        )
        if level < top:
            limit = f"−{short(LEVELS[-level - 1])}" if level < 0 else short(LEVELS[level])
            x = (k + 1) * box - 0.5
            parts.append(f'<text x="{x:g}" y="{middle + 12}" text-anchor="middle">{limit}</text>')
    width = (2 * top + 1) * box
    parts += [
        f'<rect class="unknown" x="{width + 20}" width="14" height="10"/>',
        f'<path class="hatch" d="M{width + 20} 10l14 -10"/>',
        f'<text x="{width + 40}" y="{middle - 1}">not measured</text>',
    ]
    size = f'width="{width + 112}" height="24" viewBox="0 0 {width + 112} 24"'
    return f'<svg {size} role="img" aria-label="scale">{"".join(parts)}</svg>'


def short(number: float) -> str:
    """1, 1e3"""
    return f"{number:g}" if number < 100 else f"{number:.0e}".replace("e+0", "e")
