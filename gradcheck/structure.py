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
    moves_rows, cuts_rows : whether rows may change places, and whether some of them keep to it,
        too.
    allows_zeros : whether an array of zeros keeps to it.
    """

    name: str
    holds: Callable[[Array], bool]
    another: Draw
    moves_rows: bool = False
    cuts_rows: bool = False
    allows_zeros: bool = True


def structure_of(array: Array) -> Structure | None:
    """What the array keeps to, or its columns do; None where it is nothing that is known."""
    if array.size < 2 or not np.isfinite(array).all():
        return None
    return next((one for one in STRUCTURES if one.holds(array)), None)


def by_columns(rows: Structure) -> Structure:
    def holds(array: Array) -> bool:
        return array.ndim == 2 and rows.holds(array.T)

    def another(array: Array, rng: np.random.Generator, size: float) -> Array:
        return np.asarray(rows.another(array.T, rng, size).T)

    name = rows.name.replace("rows", "columns")
    return Structure(name, holds, another, moves_rows=True, allows_zeros=False)


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


def is_orthogonal(array: Array) -> bool:
    if not is_square(array) or array.ndim > 2 or not has_unit_rows(array):
        return False
    off = abs(array.astype(np.float64) @ array.T - np.eye(len(array))).max()
    return bool(off <= CLOSE.get(array.dtype.itemsize, CLOSE[8]))


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


# ---------------------------------------------------------------------- ranges


def is_between(array: Array) -> bool:
    """Strictly, as probabilities are that logarithms are taken of."""
    return bool(((array > 0) & (array < 1)).all()) and not is_constant(array)


def other_between(array: Array, rng: np.random.Generator, size: float) -> Array:
    """The odds to the power of `size`: nearer to the ends where larger is asked for."""
    p = rng.permutation(array.ravel()).reshape(array.shape).astype(np.float64)
    found = p**size / (p**size + (1 - p) ** size)
    return np.asarray(np.clip(found, CLOSE[4], 1 - CLOSE[4]))


# ---------------------------------------------------------------------- all of them

ROWS = {"moves_rows": True, "cuts_rows": True, "allows_zeros": False}

DISTRIBUTION = Structure("of rows that sum to one", is_distribution, other_distribution, **ROWS)
UNIT_ROWS = Structure("of rows of norm one", has_unit_rows, other_unit_rows, **ROWS)
INTERVAL = Structure("between zero and one", is_between, other_between, True, True)

SORTED = Structure("sorted", is_sorted, other_sorted, cuts_rows=True)
SYMMETRIC = Structure("symmetric", is_symmetric, other_symmetric)

STRUCTURES = (
    SYMMETRIC,
    DISTRIBUTION,
    by_columns(DISTRIBUTION),
    Structure("of zeros and ones", is_mask, other_mask, **ROWS),
    Structure("orthogonal", is_orthogonal, other_unit_rows, True, allows_zeros=False),
    UNIT_ROWS,
    by_columns(UNIT_ROWS),
    Structure("triangular", is_triangular, other_triangular),
    SORTED,
    INTERVAL,
)
"""Those that are known, the first that holds counts."""
