"""Which gradients of a network there are: those of before a training step are forgotten."""

from collections.abc import Callable, Iterable

import numpy as np

from mlp.layers import Array

Key = tuple[int, str]
"""A gradient: the number of its op, and its name there."""


class Gradients:
    """The flat vector of gradients, and which of them there are. The others are NaN, which nobody
    takes for a gradient.

    An update makes those of before it the gradients of other parameters. Steps in the user's own
    compiled code tell nobody, but they count their updates: by that number it is seen.

    Attributes
    ----------
    keys : those of all layers.
    missing : such as were forgotten and not given since.
    """

    def __init__(self, vector: Array, updates: Callable[[], int]):
        self.vector, self.updates = vector, updates
        self.keys: set[Key] = set()
        self.missing: set[Key] = set()
        self.of_update = 0
        """After which update it was last looked at whether they still count."""

    def hold(self, missing: Iterable[Key] = ()) -> None:
        """All but some are there, and count for the present parameters."""
        self.missing = set(missing)
        self.of_update = self.updates()

    def give(self, key: Key) -> None:
        """One is about to be assigned."""
        self.forget_stale()
        self.missing.discard(key)

    def forget(self) -> None:
        """Before steps that keep none; at every one of them, it would be a pass over all."""
        if len(self.missing) < len(self.keys):
            self._erase()

    def forget_stale(self) -> None:
        """Before anybody looks: forget what is not of the present parameters.

        After steps that may also be what the last of them worked with.
        """
        if self.of_update != self.updates():
            self._erase()

    def _erase(self) -> None:
        self.vector[:] = np.nan
        self.missing, self.of_update = set(self.keys), self.updates()

    def check(self, where: str) -> None:
        """ValueError unless all are there."""
        self.forget_stale()
        if self.missing:
            given = len(self.keys) - len(self.missing)
            what = f"only {given} of {len(self.keys)} gradients" if given else "no gradients"
            raise ValueError(
                f"{where}: got {what}, since training steps keep none; "
                "expected a backward before it"
            )
