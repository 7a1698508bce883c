"""To come."""

from collections.abc import Callable

RECOGNISERS: tuple[Callable, ...] = ()
