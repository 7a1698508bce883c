"""Gradients with respect to symmetric matrices: entries on both sides of the diagonal move as one.

A function that reads one triangle alone, as Cholesky factors and eigenvalues do, has such a
gradient by convention: half of what a pair of entries does together stands at each of them.
"""

from dataclasses import replace

import numpy as np

from gradcheck.compare import Quantity
from gradcheck.structure import SYMMETRIC, structure_of

Array = np.ndarray

NEARLY = 1e-3
"""Relative: how near to its transpose a gradient is if it is meant to be symmetric. Whether it is
right, differences say."""


def among_symmetric(quantity: Quantity) -> Quantity | None:
    """The same of a function of symmetric matrices; None where matrix or gradient is no such."""
    gradient = quantity.gradient
    if gradient.shape != quantity.x.shape or structure_of(quantity.x) is not SYMMETRIC:
        return None
    if gradient.dtype.kind != "f" or not np.isfinite(gradient).all():
        return None
    off = abs(gradient - gradient.swapaxes(-1, -2)).max()
    if off > NEARLY * abs(gradient).max():
        return None
    return replace(quantity, function=lambda value: quantity.function(symmetrised(value)))


def symmetrised(array: Array) -> Array:
    return np.asarray((array + array.swapaxes(-1, -2)) / 2)
