"""Further points at which a gradient is checked: what is right at one may be so by chance."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.structure import INTERVAL, SPREAD, is_constant, row_order, structure_of

Array = np.ndarray

Domain = dict[str, tuple[float, float]] | None

FARTHER, NEARER = 6.0, 0.1
"""Times the inputs: far enough for other regions of an activation, and near enough for others."""


def elsewhere(
    inputs: Sequence[Any],
    rng: np.random.Generator,
    size: float = 1.0,
    differentiated: Sequence[bool] | None = None,
) -> list[Any]:
    """Other floating inputs, as large times `size`; all of them count as differentiated by default.

    They keep the signs and the range that the caller knows to be in the domain. Inputs that are
    not differentiated are not the check's to change: their rows only change places.
    """
    is_varied = [True] * len(inputs) if differentiated is None else differentiated
    return [
        a if not is_floating(a)
        else np.asarray(varied(a, rng, size) if v else aside(a, rng), a.dtype)
        for a, v in zip(inputs, is_varied, strict=True)
    ]  # fmt: skip


def varied(array: Array, rng: np.random.Generator, size: float) -> Array:
    """Other numbers for those of an array, that keep to what it keeps to."""
    structure = structure_of(array)
    return size * shuffled(array, rng) if structure is None else structure.another(array, rng, size)


def aside(array: Array, rng: np.random.Generator) -> Array:
    """The rows in another order, but for matrices and vectors whose order has a meaning."""
    structure = structure_of(array)
    is_ordered = structure is not None and not structure.moves_rows
    return array if is_ordered or array.ndim == 0 else row_order(array, rng)


def shuffled(array: Array, rng: np.random.Generator) -> Array:
    """The entries in another order.

    What is the same everywhere, such as weights of zero or scales of one, is varied by half: it
    hides too much.
    """
    mixed = rng.permutation(array.ravel()).reshape(array.shape)
    if array.size > 1 and is_constant(array):
        reach = SPREAD * (abs(float(array.flat[0])) or 1.0)
        mixed = mixed + rng.uniform(-reach, reach, array.shape)
    return np.asarray(mixed)


def further_points(
    inputs: Sequence[Any],
    outputs: Sequence[Array],
    differentiated: Sequence[bool],
    rng: np.random.Generator,
) -> Iterator[tuple[str, list[Any]]]:
    """Points, and how to call them."""
    yield "at other inputs", elsewhere(inputs, rng, 1.0, differentiated)
    yield "at larger inputs", elsewhere(inputs, rng, FARTHER, differentiated)
    yield "at smaller inputs", elsewhere(inputs, rng, NEARER, differentiated)
    for rows in batch_sizes(inputs, outputs[0]):
        of_vectors = outputs[0].ndim == 1
        if not all(may_be_cut(a) for a in inputs if has_rows(a, rows, of_vectors)):
            continue
        if rows > 1:
            yield f"with {rows - 1} rows", sliced(inputs, rows, of_vectors, rows - 1)
        if rows > 2 and outputs[0].ndim:  # a loss may broadcast one row against what it keeps
            yield "with one row", sliced(inputs, rows, of_vectors, 1)


def other_ranges(
    inputs: Sequence[Any],
    names: Sequence[str],
    places: Sequence[int],
    domain: Domain,
    rng: np.random.Generator,
) -> Iterator[tuple[str, list[Any]]]:
    """For each array without entries of one sign, a point where all have it; for one between zero
    and one, a point above.

    What relu or abs do there, the caller's inputs do not show. Points outside the domain that is
    given are left out; where none is, the caller may have meant one.
    """
    for i in places:
        array = inputs[i]
        structure = structure_of(array)
        if not array.size or (structure is not None and not structure.allows_zeros):
            continue
        low, high = (domain or {}).get(names[i], (-np.inf, np.inf))
        for title, moved in ranges_beside(array, rng):
            if moved.min() >= low and moved.max() <= high:
                point = [moved.astype(a.dtype) if j == i else a for j, a in enumerate(inputs)]
                yield f"where {names[i]} is {title}", point


def ranges_beside(array: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    if not array.any() or array.min() < 0 < array.max():
        return
    yield ("negative" if array.max() > 0 else "positive"), -shuffled(array, rng)
    if structure_of(array) is INTERVAL:
        yield "above one", FARTHER * shuffled(array, rng) + 1


def batch_sizes(inputs: Sequence[Any], output: Array) -> list[int]:
    """The rows of the output and of the first input that has rows: one of them is the batch."""
    tables = [a for a in inputs if is_floating(a) and a.ndim > 1]
    sizes = [len(output)] if output.ndim else []
    return list(dict.fromkeys(sizes + [len(a) for a in tables[:1]]))


def sliced(inputs: Sequence[Any], rows: int, of_vectors: bool, fewer: int) -> list[Any]:
    """The first `fewer` rows of every array that has so many rows.

    A vector of numbers is rather a bias that happens to be as long, unless the output is one.
    """
    return [np.array(a[:fewer]) if has_rows(a, rows, of_vectors) else a for a in inputs]


def may_be_cut(array: Array) -> bool:
    structure = structure_of(array) if is_floating(array) else None
    return structure is None or structure.cuts_rows


def has_rows(value: Any, rows: int, of_vectors: bool) -> bool:
    if not isinstance(value, np.ndarray) or value.ndim == 0 or len(value) != rows:
        return False
    return value.ndim > 1 or of_vectors or value.dtype.kind != "f"
