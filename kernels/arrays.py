"""Arrays from anything: what compiled code can read, from what a caller has, or one clear error.

Nothing is lost unseen: integers are converted exactly or not at all, floating numbers keep
their dtype.
"""

import numpy as np

from kernels.jit import jit

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
FLOAT32_MAX = float(np.finfo(np.float32).max)
LABELS = np.dtype(np.int64)


def to_array(where: str, value, kinds: str, expected: str) -> np.ndarray:
    """`value` as a plain array whose dtype kind is among `kinds`; TypeError otherwise."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where} is a masked array, expected {expected}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{where} is not an array ({error}), expected {expected}") from None
    if array.size == 0 and not hasattr(value, "dtype"):
        array = array.astype(int)  # an empty list has no dtype of its own
    if array.dtype.kind not in kinds:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {expected}")
    return array


def to_floats(where: str, value, dtype: np.dtype) -> np.ndarray:
    """`value` as a C-contiguous, writable array of `dtype`, copied only where needed.

    A floating array must have the dtype already: narrowing would lose digits unseen.
    Integers, booleans and nested lists of numbers are converted: integers exactly or not at
    all, and nothing finite to infinity.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        return value
    array = to_array(where, value, "fiub", f"an array of {dtype}")
    is_given_float = array.dtype.kind == "f" and hasattr(value, "dtype")
    if is_given_float and array.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{where} has dtype {array.dtype}, expected {dtype}")
    if array.dtype == dtype and array.flags.carray:
        return array
    return cast(where, array, dtype)


def cast(where: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A C-contiguous copy in `dtype`; ValueError where an integer or a magnitude is lost."""
    with np.errstate(over="ignore"):
        converted = np.array(array, dtype=dtype, order="C", copy=True, subok=False)
    if array.dtype.kind in "iu":
        # Only integers of more bits than the mantissa can be lost; they are compared as such.
        limit = 2 ** (np.finfo(dtype).nmant + 1)
        if np.iinfo(array.dtype).max <= limit:
            return converted
        large = (array > limit) | (array < -limit if array.dtype.kind == "i" else False)
        lost = any(int(c) != int(a) for c, a in zip(converted[large], array[large], strict=True))
    else:
        lost = not np.array_equal(np.isfinite(converted), np.isfinite(array))
    if lost:
        raise ValueError(
            f"{where} holds numbers that {dtype} cannot represent, expected ones it can"
        )
    return converted


def to_labels(where: str, value, _dtype=None) -> np.ndarray:
    """`value` as a C-contiguous, writable array of int64; only integers and booleans fit."""
    if type(value) is np.ndarray and value.dtype == LABELS and value.flags.carray:
        return value
    array = to_array(where, value, "iub", "integer classes")
    if array.dtype == LABELS and array.flags.carray:
        return array
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(LABELS).max:
        raise ValueError(f"{where} holds {array.max()}, expected a class")
    return np.array(array, dtype=LABELS, order="C", copy=True, subok=False)


def rank(value) -> int:
    """The number of dimensions; -1 of what is no array, such as rows of unequal length."""
    if type(value) is np.ndarray:
        return value.ndim
    try:
        return np.ndim(value)
    except ValueError:
        return -1


def fits(where: str, setting: float, dtype: np.dtype) -> float:
    """`setting`, which is finite, if it is so in `dtype` too."""
    if dtype == FLOATS[0] and abs(setting) > FLOAT32_MAX:
        raise ValueError(f"{where} is {setting:g}, expected a number that float32 can hold")
    return setting


@jit
def first_out_of_range(labels, end):
    """Index of the first label outside [0, end), or -1."""
    for i in range(labels.size):
        if labels[i] < 0 or labels[i] >= end:
            return i
    return -1
