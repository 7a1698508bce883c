"""A table, and the two ways to show it: Markdown, and rich where that is installed."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Columns of text; the first is set left, the others right."""

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        rule = [":--", *["--:"] * (len(self.columns) - 1)]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rule, *self.rows)]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def show(table: Table) -> None:
    """To the terminal; a cell that begins with ** is one where a peer wins."""
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
    except ModuleNotFoundError:
        print(f"\n{table.title}\n\n{table.markdown()}")
        return
    rich = RichTable(title=table.title, title_justify="left", title_style="bold")
    for i, name in enumerate(table.columns):
        rich.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in table.rows:
        rich.add_row(*(f"[red]{c.strip('*')}[/]" if c.startswith("**") else c for c in row))
    # As wide as it is: a table squeezed into a narrow terminal or file loses its figures.
    console = Console(width=max(Console().width, Console(width=1000).measure(rich).maximum))
    console.print()
    console.print(rich)
    for note in table.notes:
        console.print(note, style="dim", highlight=False)


def micro(seconds: float | None) -> str:
    """Microseconds in three digits or more: 0.523, 11.9, 4352."""
    if seconds is None:
        return "–"
    value = seconds * 1e6
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def times(ratio: float | None) -> str:
    """A ratio, bold where the peer wins."""
    if ratio is None:
        return "–"
    text = f"{ratio:.2f}×" if ratio < 9.95 else f"{ratio:.0f}×"
    return f"**{text}**" if ratio < 1 else text


def percent(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1g} %"
