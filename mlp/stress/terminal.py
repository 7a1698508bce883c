"""A line chart for terminals: braille where the encoding has it, ASCII elsewhere."""

import math
import shutil
import sys
from collections.abc import Mapping

import numpy as np

from mlp.stress.curves import LIMITS, LOG10_OF_2, decades, largest_output
from mlp.stress.series import Array, Study

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character, by row and column of its eight dots (Unicode 6.2, chapter 15)."""

BRAILLE = 0x2800

MARKS = "*o+x#%"
"""Of the lines in ASCII, in their order."""

NARROWEST, WIDEST, HEIGHT = 24, 100, 14
"""Characters: of the width, and lines of the drawing."""


def explosion(study: Study, width: int | None = None, *, unicode: bool | None = None) -> str:
    """The sizes of a study, pass by pass, as powers of ten."""
    layers = study.of("dW").shape[1]
    lines = {"largest |output|": decades(largest_output(study))}
    lines[f"|dW{layers}|"] = decades(study.of("dW")[:, -1])
    limits = {name: limit * LOG10_OF_2 for name, limit in LIMITS.items()}
    chart = line_chart(lines, width, unicode=unicode, x_name="pass", limits=limits)
    if study.overflow_pass is None:
        return chart
    return f"{chart}\noverflow of {study.settings['dtype']} in pass {study.overflow_pass}"


def line_chart(
    lines: Mapping[str, Array],
    width: int | None = None,
    height: int = HEIGHT,
    *,
    unicode: bool | None = None,
    x_name: str = "x",
    limits: Mapping[str, float] | None = None,
) -> str:
    """Lines over 1, 2, …, as text; y is an exponent of ten.

    Parameters
    ----------
    lines : arrays by name; what is not finite is left out.
    width : of the whole text; by default that of the terminal.
    unicode : braille or ASCII; by default what the output's encoding takes.
    limits : levels by name, written at the right of their line where they are within the lines.
    """
    width = min(width or shutil.get_terminal_size().columns, WIDEST)
    width = max(width, NARROWEST)
    braille = can_braille() if unicode is None else unicode
    values = [np.asarray(line, np.float64) for line in lines.values()]
    finite = np.concatenate([line[np.isfinite(line)] for line in values])
    if not finite.size:
        return "nothing finite to draw"
    low, high = math.floor(finite.min()), math.ceil(finite.max())
    high = max(high, low + 1)
    margin = max(len(power(low)), len(power(high))) + 1
    columns = width - margin - 1
    canvas = Canvas(columns, height, braille=braille)
    longest = max(len(line) for line in values)
    for number, line in enumerate(values):
        canvas.draw(
            (np.arange(len(line))) / max(longest - 1, 1), (line - low) / (high - low), number
        )
    rows = canvas.rows()
    for name, level in (limits or {}).items():
        if low <= level <= high:
            at = round((high - level) / (high - low) * (height - 1))
            rows[at] = with_note(rows[at], f"{name} ends")
    return "\n".join(
        [*with_axis(rows, low, high, margin, braille=braille),
         *below(longest, columns, margin, x_name, braille=braille),
         legend(list(lines), width, braille=braille)]
    )  # fmt: skip


class Canvas:
    """Dots in characters: 2 × 4 in each of braille, 1 in ASCII."""

    def __init__(self, columns: int, height: int, *, braille: bool):
        self.braille = braille
        self.across, self.down = (2, 4) if braille else (1, 1)
        self.marks = np.full((height * self.down, columns * self.across), -1)

    def draw(self, x: Array, y: Array, number: int) -> None:
        """A line through points of the unit square; it is broken where one is not finite."""
        rows, columns = self.marks.shape
        points = list(zip(x * (columns - 1), (1 - y) * (rows - 1), strict=True))
        for (x0, y0), (x1, y1) in zip([points[0], *points[:-1]], points, strict=True):
            if not (math.isfinite(y0) and math.isfinite(y1)):
                y0 = y1 if math.isfinite(y1) else y0
                if not math.isfinite(y1):
                    continue
                x0 = x1
            steps = max(round(abs(x1 - x0)), round(abs(y1 - y0)), 1)
            for part in np.linspace(0, 1, steps + 1):
                row, column = y0 + part * (y1 - y0), x0 + part * (x1 - x0)
                self.marks[round(row), round(column)] = number

    def rows(self) -> list[str]:
        """The characters, row by row."""
        if not self.braille:
            return [
                "".join(MARKS[m % len(MARKS)] if m >= 0 else " " for m in r) for r in self.marks
            ]
        height, columns = (n // k for n, k in zip(self.marks.shape, (4, 2), strict=True))
        cells = (self.marks >= 0).reshape(height, 4, columns, 2)
        codes = np.einsum("iajb,ab->ij", cells, np.array(DOTS))
        return ["".join(chr(BRAILLE + code) if code else " " for code in row) for row in codes]


def with_note(row: str, note: str) -> str:
    """The row with a note at its right end, where nothing is drawn there; else as it is."""
    start = len(row) - len(note)
    free = start >= 0 and not row[start - 1 :].strip()
    return row[:start] + note if free else row


def with_axis(rows: list[str], low: int, high: int, margin: int, *, braille: bool) -> list[str]:
    """The rows behind labels at the top, in the middle and at the bottom."""
    labels = {0: power(high), len(rows) - 1: power(low)}
    middle = (len(rows) - 1) // 2
    labels[middle] = power(round(high - (high - low) * middle / (len(rows) - 1)))
    bar = "┤" if braille else "|"
    return [f"{labels.get(i, ''):>{margin - 1}}{bar}{row}".rstrip() for i, row in enumerate(rows)]


def below(last: int, columns: int, margin: int, x_name: str, *, braille: bool) -> list[str]:
    """The axis of x, from 1 to the last."""
    dash, corner = ("─", "└") if braille else ("-", "+")
    numbers = f"1{x_name:^{columns - 1 - len(str(last))}}{last}"
    return [" " * (margin - 1) + corner + dash * columns, " " * margin + numbers]


def legend(names: list[str], width: int, *, braille: bool) -> str:
    """Which line is which; braille has one ink, so there the names are enough."""
    marked = names if braille else [f"{MARKS[i % len(MARKS)]} {n}" for i, n in enumerate(names)]
    return ", ".join(marked)[:width]


def power(exponent: float) -> str:
    return f"1e{exponent:g}"


def can_braille() -> bool:
    """Whether the standard output's encoding has braille."""
    try:
        "⣿┤└─".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
