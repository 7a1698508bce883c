"""Groups: the entries that a normalisation takes its statistics over.

Batch norm takes them over the samples, layer norm over the features of each sample, instance
norm over the places of each image, group norm over blocks of channels as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Groups:
    """Which axes are summed over; `blocks` cuts axis `cut` into so many parts before."""

    axes: tuple[int, ...]
    cut: int = 0
    blocks: int = 1

    def mean(self, array: Array) -> Array:
        """Of each group, laid out as the array."""
        if self.blocks == 1:
            return np.broadcast_to(array.mean(axis=self.axes, keepdims=True), array.shape)
        shape = array.shape
        size = shape[self.cut] // self.blocks
        apart = array.reshape(*shape[: self.cut], self.blocks, size, *shape[self.cut + 1 :])
        axes = tuple(a if a < self.cut else a + 1 for a in self.axes)
        means = np.broadcast_to(apart.mean(axis=axes, keepdims=True), apart.shape)
        return means.reshape(shape)

    def size(self, shape: tuple[int, ...]) -> int:
        return int(np.prod([shape[a] for a in self.axes])) // self.blocks

    def describe(self) -> str:
        if self.blocks > 1:
            return f"{self.blocks} groups along axis {self.cut}"
        return "axis " + ", ".join(map(str, self.axes))


def partitions(shape: tuple[int, ...]) -> Iterator[Groups]:
    """All groups that a normalisation of an array of this shape may use, of two entries on."""
    axes = range(len(shape))
    for count in range(1, len(shape) + 1):
        for chosen in combinations(axes, count):
            if Groups(chosen).size(shape) > 1:
                yield Groups(chosen)
    for cut in {1, len(shape) - 1} if len(shape) > 1 else ():
        others = tuple(a for a in axes if a not in (0, cut))
        for blocks in range(2, shape[cut]):
            if shape[cut] % blocks == 0:
                yield Groups((*sorted((*others, cut)),), cut, blocks)
