"""What a pair of functions was before it was first called, to see whether it remembers calls."""

from collections.abc import Callable, Iterator
from typing import Any

from gradcheck.state import Snapshot

LARGEST = 2_000
"""Objects that a pair may hold; of more nothing is kept, since that would take too long."""


class Beginning:
    """The state of functions: of the objects whose methods they are, and of their closures.

    Random numbers that are drawn from the global generators are not part of it.
    """

    def __init__(self, *functions: Callable[..., Any]):
        self.functions = functions
        self.cells = list(cells_of(functions))
        owners = [getattr(f, "__self__", None) for f in functions]
        self.snapshot = Snapshot([*owners, *(held for _, held in self.cells)], LARGEST)
        self.snapshot.has_globals = False

    def restore(self) -> None:
        """Everything as it was."""
        self.snapshot.restore()
        for cell, held in self.cells:
            cell.cell_contents = held


def cells_of(functions: tuple[Callable[..., Any], ...]) -> Iterator[tuple[Any, Any]]:
    """The variables that the functions share with the code around them, and their values."""
    seen: set[int] = set()
    waiting: list[Any] = list(functions)
    while waiting:
        function = waiting.pop()
        for cell in getattr(getattr(function, "__func__", function), "__closure__", None) or ():
            if id(cell) in seen:
                continue
            seen.add(id(cell))
            try:
                held = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            yield cell, held
            if callable(held):
                waiting.append(held)


def beginning_of(*functions: Callable[..., Any]) -> Beginning | None:
    """None where the functions keep nothing, too much, or what cannot be looked at."""
    try:
        found = Beginning(*functions)
    except Exception:  # TooLarge, or whatever their own attributes raise
        return None
    return found if found.cells or found.snapshot.holders else None
