"""Errors of the checker's own, met while it names a mistake: they cost a name, never the report.

A verdict comes from differences and stands before any cause is looked for. So a search for
causes that meets numbers it was not made for ends there, and the report's notes say so.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from gradcheck.subject import Raised, message_of

T = TypeVar("T")

RAISES = False
"""Whether such an error is raised. The tests set it, to see what users need not."""

NOTES: ContextVar[list[str] | None] = ContextVar("NOTES", default=None)
"""The notes of the report under way."""


def is_strict() -> bool:
    """Whether errors of the checker's own in naming a mistake are raised."""
    return RAISES


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    """Within, each kind of error is told once in these notes."""
    token = NOTES.set(notes)
    try:
        yield
    finally:
        NOTES.reset(token)


def spared(search: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What a search for causes finds, for as long as it can.

    Code under test that raises where only a search would call it is no fault of either.
    """
    try:
        yield from search()
    except Raised:
        return
    except Exception as error:
        if RAISES:
            raise
        note(error)


def note(error: Exception) -> None:
    """Adds the error and its place to the notes of the report under way."""
    notes = NOTES.get()
    place = extract_tb(error.__traceback__)[-1]
    told = (
        f"gradcheck itself failed at one kind of mistake, and cannot name it: "
        f"{type(error).__name__}: {message_of(error)} ({Path(place.filename).name}:{place.lineno})"
    )
    if notes is not None and told not in notes:
        notes.append(told)
