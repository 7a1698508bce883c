"""The boundary of a network: a batch and its labels, checked before anything changes."""

from typing import Any

import numpy as np

from kernels.arrays import first_out_of_range, rank, to_labels
from mlp.layers import Array, checked_floats
from mlp.plan import SOFTMAX_LABELS, SOFTMAX_SOFT, SQUARES

Labels = tuple[Array, int]
"""Integer classes or target rows, and which loss takes them."""

NO_LABELS = np.empty(0, np.int64)


class Boundary:
    """What a network takes: rows of one width and dtype, and labels for its criterion."""

    def __init__(self, inputs: int, outputs: int, dtype: np.dtype, criterion: str):
        self.inputs, self.outputs, self.dtype = inputs, outputs, dtype
        self.takes_classes = criterion == "softmax_cross_entropy"
        self.loss_of_rows = SOFTMAX_SOFT if self.takes_classes else SQUARES

    def batch(self, where: str, x: Any, *, needs_variance: bool) -> Array:
        """The batch as an array (N, inputs) of the network's dtype."""
        x = checked_floats(where, x, self.dtype)
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ValueError(f"{where} has shape {x.shape}, expected (N, {self.inputs})")
        if len(x) == 1 and needs_variance:
            raise ValueError(
                f"{where} has 1 row, expected at least 2: with one sample batchnorm in "
                "training has no variance"
            )
        return np.asarray(x)

    def labels(self, where: str, labels: Any, n: int | None) -> Labels:
        """Integer classes (n,) where the criterion is cross-entropy, else rows (n, outputs)."""
        if self.takes_classes and rank(labels) == 1:
            # A copy, which nobody can change between the check and its use.
            classes: Array = np.array(to_labels(where, labels))
            if len(classes) != n:
                raise ValueError(f"{where} has {len(classes)} rows, expected {n}")
            self.check_classes(where, classes)
            return classes, SOFTMAX_LABELS
        targets = checked_floats(where, labels, self.dtype)
        if targets.shape != (n, self.outputs):
            raise ValueError(f"{where} has shape {targets.shape}, expected ({n}, {self.outputs})")
        return targets, self.loss_of_rows

    def check_classes(self, where: str, classes: Array) -> None:
        """ValueError if there is an output for not every class."""
        wrong = first_out_of_range(classes, self.outputs)
        if wrong >= 0:
            raise ValueError(
                f"{where}[{wrong}] is {classes[wrong]}, expected a class from 0 to "
                f"{self.outputs - 1}"
            )


def as_words(y: Array, kind: int) -> Array:
    """Classes as they are; target rows as the int64 words that hold their bytes."""
    if kind == SOFTMAX_LABELS:
        return y
    words = np.empty(-(-y.nbytes // 8), np.int64)
    words.view(y.dtype)[: y.size] = y.reshape(-1)
    return words
