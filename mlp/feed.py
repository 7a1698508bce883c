"""Feed: the rows of a data set in the order of training, gathered a few batches at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.layers import Array

SLICE_BYTES = 2**21
"""What is gathered at once should still be in the cache when it is trained on."""


@dataclass(frozen=True)
class Place:
    """Where a feed stands; a generator's state with it, so that the same rows come again."""

    epoch: int
    step: int
    row: int
    order: Array
    generator: Any


class Feed:
    """Slices of a data set: whole batches, in the order of each epoch.

    Parameters
    ----------
    x : (N, inputs); y : int64 (N,) classes or target rows (N, outputs).
    batch_size : rows of a batch. The last of an epoch has what is left.
    rng : source of each epoch's order; None for the order of the data set.
    lonely : whether a last batch of one row is allowed. If not it joins the one before.

    Attributes
    ----------
    epoch, step : number of the next batch, and of its epoch, from 1 on.
    rows : indices of the rows that were gathered last.
    """

    def __init__(
        self, x: Array, y: Array, batch_size: int, rng: np.random.Generator | None, *, lonely: bool
    ):
        self.x, self.y, self.rng = x, y, rng
        n = len(x)
        self.batch_size = min(batch_size, n)
        self.largest_batch = self.batch_size
        self.tail = n  # the row from which on the rest is one batch
        if not lonely and n % self.batch_size == 1:
            self.largest_batch += 1
            self.tail = n - self.largest_batch
        self.steps_per_epoch = -(-self.tail // self.batch_size) + (self.tail < n)
        self.epoch, self.step, self.row = 0, 1, n
        self.rows = self.order = np.arange(n)
        row_bytes = x[:1].nbytes + y[:1].nbytes
        self.most_steps = max(1, min(n, SLICE_BYTES // row_bytes) // self.batch_size)
        room = max(self.most_steps * self.batch_size, self.largest_batch)
        self._x = np.empty((room, x.shape[1]), x.dtype)
        # The engine takes target rows as the int64 words of their bytes.
        self._words = np.empty(-(-room * y[:1].nbytes // 8), np.int64)
        self._y = self._words.view(y.dtype)[: room * y[:1].size].reshape(room, *y.shape[1:])

    @property
    def ended(self) -> bool:
        """Whether the epoch has no batch left."""
        return self.row == len(self.x)

    def begin(self) -> None:
        """The next epoch, in an order of its own."""
        self.epoch, self.step, self.row = self.epoch + 1, 1, 0
        if self.rng is not None:
            self.order = self.rng.permutation(len(self.x))

    def take(self, steps: int) -> tuple[Array, Array, int]:
        """At most `steps` batches: their rows of x and of y, and the rows of a batch."""
        start, batch = self.row, self.batch_size
        if start < self.tail:
            stop = min(start + min(steps, self.most_steps) * batch, self.tail)
        else:
            stop = len(self.x)
            batch = stop - start
        self.rows = self.order[start:stop]
        n = stop - start
        x, y = self._x[:n], self._y[:n]
        # "clip" only spares a second buffer: the rows are in range.
        np.take(self.x, self.rows, axis=0, out=x, mode="clip")
        np.take(self.y, self.rows, axis=0, out=y, mode="clip")
        self.row = stop
        self.step += -(-n // batch)
        return x, self._words, batch

    def place(self) -> Place:
        """Where the feed stands."""
        generator = None if self.rng is None else self.rng.bit_generator.state
        return Place(self.epoch, self.step, self.row, self.order, generator)

    def back_to(self, place: Place) -> None:
        """Stand there again."""
        self.epoch, self.step, self.row = place.epoch, place.step, place.row
        self.order = place.order
        if self.rng is not None:
            self.rng.bit_generator.state = place.generator
