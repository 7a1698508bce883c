"""What an array visibly keeps to, and other numbers that keep to it as well.

A function may rely on what its inputs are: rows that sum to one, a symmetric matrix, a mask of
zeros and ones. At inputs that are none of that, a right gradient may look wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

Draw = Callable[[Array, np.random.Generator, float], Array]

CLOSE = {2: 1e-2, 4: 1e-5, 8: 1e-12}
"""By item size: how near to one the sum of a row is, or its norm, to be meant so."""

SPREAD = 0.5
"""Where all entries are the same, by what share of their size they are varied."""

FEWEST = 3
"""So many numbers are in order by chance once in six; fewer, too often."""


@dataclass(frozen=True)
class Structure:
    """One thing that arrays may keep to.

    Attributes
    ----------
    name : what the array is, for a reader.
    holds : whether an array keeps to it.
    another : other numbers that do, drawn from those of the array, as large times `size` as far
        as that goes.
    is_by_rows : whether each row keeps to it by itself: rows may change places, and a row of
        zeros may not be put in.
    """

    name: str
    holds: Callable[[Array], bool]
    another: Draw
    is_by_rows: bool = False


def structure_of(array: Array) -> Structure | None:
    """What the array keeps to, or its columns do; None where it is nothing that is known."""
    if array.size < 2 or not np.isfinite(array).all():
        return None
    found = next((one for one in STRUCTURES if one.holds(array)), None)
    if found is None and array.ndim == 2:
        return next((by_columns(one) for one in OF_ROWS if one.holds(array.T)), None)
    return found


def by_columns(rows: Structure) -> Structure:
    def another(array: Array, rng: np.random.Generator, size: float) -> Array:
        return np.asarray(rows.another(array.T, rng, size).T)

    name = rows.name.replace("rows", "columns")
    return Structure(name, lambda array: rows.holds(array.T), another, rows.is_by_rows)


def is_constant(array: Array) -> bool:
    return bool((array == array.flat[0]).all())


def row_order(array: Array, rng: np.random.Generator) -> Array:
    """The rows, the last axis, in another order; the entries of a vector."""
    rows = array.reshape(-1, *array.shape[-1:]) if array.ndim > 1 else array
    return np.asarray(rng.permutation(rows).reshape(array.shape))


# ---------------------------------------------------------------------- masks and rows


def is_mask(array: Array) -> bool:
    return bool(((array == 0) | (array == 1)).all()) and not is_constant(array)


def other_mask(array: Array, rng: np.random.Generator, size: float) -> Array:
    """Whole rows change places, so that what is one-hot stays so."""
    return row_order(array, rng)


def are_all_one(values: Array, dtype: np.dtype) -> bool:
    return bool((abs(values - 1) <= CLOSE.get(dtype.itemsize, CLOSE[8])).all())


def is_distribution(array: Array) -> bool:
    return bool(
        array.ndim > 0
        and array.shape[-1] > 1
        and (array >= 0).all()
        and are_all_one(array.sum(axis=-1, dtype=np.float64), array.dtype)
    )


def other_distribution(array: Array, rng: np.random.Generator, size: float) -> Array:
    """Rows and columns change places; sharper where larger is asked for, flatter where smaller."""
    found = row_order(array, rng)[..., rng.permutation(array.shape[-1])].astype(np.float64)
    if is_constant(array):
        found = found * rng.uniform(1 - SPREAD, 1 + SPREAD, array.shape)
    found = np.where(found > 0, found, 0) ** size
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def has_unit_rows(array: Array) -> bool:
    if array.ndim == 0 or array.shape[-1] < 2:
        return False
    return are_all_one(np.sqrt((array.astype(np.float64) ** 2).sum(axis=-1)), array.dtype)


def other_unit_rows(array: Array, rng: np.random.Generator, size: float) -> Array:
    """Rows and columns change places, and columns signs: a matrix stays orthogonal, too."""
    signs = rng.choice([-1.0, 1.0] if (array < 0).any() else [1.0], array.shape[-1])
    return np.asarray(row_order(array, rng)[..., rng.permutation(array.shape[-1])] * signs)


# ---------------------------------------------------------------------- matrices


def is_square(array: Array) -> bool:
    return array.ndim > 1 and array.shape[-1] == array.shape[-2] > 1


def is_diagonal(array: Array) -> bool:
    return not (array * (1 - np.eye(array.shape[-1]))).any()


def is_symmetric(array: Array) -> bool:
    """Symmetric to rounding; a diagonal matrix rather is one of weights at their start."""
    if not is_square(array) or is_diagonal(array) or is_constant(array):
        return False
    off = abs(array - array.swapaxes(-1, -2)).max()
    return bool(off <= CLOSE.get(array.dtype.itemsize, CLOSE[8]) * abs(array).max())


def other_symmetric(array: Array, rng: np.random.Generator, size: float) -> Array:
    """P·A·Pᵀ has the eigenvalues of A: it is positive definite where A is."""
    order = rng.permutation(array.shape[-1])
    return np.asarray(size * array[..., order, :][..., :, order])


def is_triangular(array: Array) -> bool:
    if not is_square(array) or is_diagonal(array):
        return False
    return not np.triu(array, 1).any() or not np.tril(array, -1).any()


def other_triangular(array: Array, rng: np.random.Generator, size: float) -> Array:
    """The diagonal in another order, and the rest of what is not zero in another."""
    found, diagonal = array.copy(), np.broadcast_to(np.eye(array.shape[-1]) > 0, array.shape)
    for part in (diagonal, ~diagonal & (array != 0)):
        found[part] = rng.permutation(array[part])
    return np.asarray(size * found)


# ---------------------------------------------------------------------- vectors


def is_sorted(array: Array) -> bool:
    if array.ndim != 1 or len(array) < FEWEST:
        return False
    steps = np.diff(array)
    return bool((steps > 0).all() or (steps < 0).all())


def other_sorted(array: Array, rng: np.random.Generator, size: float) -> Array:
    """Numbers in the same order, drawn from the range between the first and the last."""
    places = np.arange(len(array), dtype=np.float64)
    places[1:-1] += rng.uniform(-0.4, 0.4, len(array) - 2)
    return np.asarray(size * np.interp(places, np.arange(len(array)), array))


OF_ROWS = (
    Structure("of rows that sum to one", is_distribution, other_distribution, True),
    Structure("of rows of norm one", has_unit_rows, other_unit_rows, True),
)

STRUCTURES = (
    Structure("symmetric", is_symmetric, other_symmetric),
    Structure("of zeros and ones", is_mask, other_mask, True),
    *OF_ROWS,
    Structure("triangular", is_triangular, other_triangular),
    Structure("sorted", is_sorted, other_sorted),
)
"""Those that are known, the first that holds counts."""
