from collections.abc import Iterator
from gradcheck.catalogue.case import Bug, Right
def bugs() -> Iterator[Bug]:
    yield from ()
def rights() -> Iterator[Right]:
    yield from ()
