"""A report on a terminal: in colours and with small heat maps where `rich` is installed."""

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from gradcheck.render.grid import Grid, grid_of
from gradcheck.render.text import Paragraph, by_gravity, line_width, paragraphs, report_text
from gradcheck.verdict import FAIL, Finding, Report

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "cause": "cyan",
    "note": "",
}

ROWS, COLUMNS = 12, 32
"""Of a heat map in a terminal, at most."""

COLOURS = ("bright_black", "bright_blue", "bright_blue", "blue", "blue")
"""By level, where analytic is less than numeric; red in place of blue where it is more. The
terminal's own sixteen, which every theme shows."""

LEGEND = "error bars: blue below, red above, grey within the bar, · not measured"


def show(report: Report, file: TextIO | None = None) -> None:
    """Print the report, as well as the stream can show it."""
    stream = sys.stdout if file is None else file
    console = coloured_console(stream)
    if console is None:
        stream.write(encodable(report_text(report), stream) + "\n")
        return
    for paragraph in paragraphs(report):
        console.print(styled(paragraph, line_width()), soft_wrap=True)
    for finding in by_gravity(report):
        if is_worth_a_map(finding):
            console.print(heat_map(finding), soft_wrap=True)
    console.print(f"{report.calls:,} calls of forward, {report.seconds:.2f} s", style="dim")


def coloured_console(stream: TextIO) -> "Console | None":
    """Rich's console, where it is installed and colours are wanted."""
    if not wants_colours(stream):
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False, markup=False, force_terminal=True)


def wants_colours(stream: TextIO) -> bool:
    """NO_COLOR (no-color.org) says no; a file or a pipe gets plain text."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def encodable(text: str, stream: TextIO) -> str:
    """The text with a question mark for each character that the stream cannot write."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def styled(paragraph: Paragraph, width: int) -> Any:
    """The lead in its colour, and the slug of a cause."""
    from rich.text import Text

    text = Text("\n".join(paragraph.wrapped(width)))
    end = len(paragraph.lead)
    if paragraph.style == "cause":
        end += paragraph.text.find(":")
    text.stylize(STYLES.get(paragraph.style, ""), 0, end)
    return text


def is_worth_a_map(finding: Finding) -> bool:
    return (
        finding.verdict == FAIL and finding.detail is not None and finding.detail.numeric.size > 1
    )


def heat_map(finding: Finding) -> Any:
    """Two spaces for each cell, coloured by how many error bars it is off."""
    from rich.text import Text

    assert finding.detail is not None
    grid = grid_of(finding.detail, ROWS, COLUMNS)
    text = Text(f"\n  {finding.name}, analytic minus numeric in {LEGEND}\n")
    if not np.isnan(grid.values).all():
        for i in range(len(grid.rows)):
            text.append("    ")
            add_row(text, grid, i)
            text.append("\n")
    return text


def add_row(text: Any, grid: Grid, i: int) -> None:
    levels = grid.levels
    for j, value in enumerate(grid.values[i]):
        if np.isnan(value):
            text.append("· ", style="dim")
        else:
            colour = COLOURS[abs(int(levels[i, j]))]
            text.append(
                "  ", style="on " + (colour.replace("blue", "red") if value > 0 else colour)
            )
