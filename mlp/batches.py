"""The boundary of the network: a batch and its labels, checked before anything changes."""

from typing import Any

import numpy as np

from kernels.boundary import first_out_of_range, rank, to_labels
from mlp.layers import Array, checked_floats
from mlp.plan import SOFTMAX_LABELS, SOFTMAX_SOFT, SQUARES

Labels = tuple[Array, int]
"""Integer classes or target rows, and which loss takes them."""

NO_LABELS = np.empty(0, np.int64)


def check_batch(where: str, x: Any, width: int, dtype: np.dtype, *, needs_variance: bool) -> Array:
    """The batch as an array (N, width) of `dtype`."""
    x = checked_floats(where, x, dtype)
    if x.ndim != 2 or x.shape[1] != width:
        raise ValueError(f"{where} has shape {x.shape}, expected (N, {width})")
    if len(x) == 1 and needs_variance:
        raise ValueError(
            f"{where} has 1 row, expected at least 2: with one sample batchnorm in "
            "training has no variance"
        )
    return np.asarray(x)


def check_labels(
    where: str, labels: Any, shape: tuple[int | None, int], dtype: np.dtype, criterion: str
) -> Labels:
    """Integer classes (n,) where the criterion is cross-entropy, else rows of `shape`."""
    n, m = shape
    if criterion == "softmax_cross_entropy" and rank(labels) == 1:
        classes = to_labels(where, labels)
        if len(classes) != n:
            raise ValueError(f"{where} has {len(classes)} rows, expected {n}")
        wrong = first_out_of_range(classes, m)
        if wrong >= 0:
            raise ValueError(
                f"{where}[{wrong}] is {classes[wrong]}, expected a class from 0 to {m - 1}"
            )
        return classes, SOFTMAX_LABELS
    targets = checked_floats(where, labels, dtype)
    if targets.shape != shape:
        raise ValueError(f"{where} has shape {targets.shape}, expected ({n}, {m})")
    return targets, SQUARES if criterion == "mse" else SOFTMAX_SOFT


def as_words(y: Array) -> Array:
    """Classes as they are; target rows as the int64 words that hold their bytes."""
    if y.dtype == np.int64:
        return y
    words = np.empty(-(-y.nbytes // 8), np.int64)
    words.view(y.dtype)[: y.size] = y.reshape(-1)
    return words
