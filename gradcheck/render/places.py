"""Which entries of an array are off, in words."""

import numpy as np

from gradcheck.render.numbers import count
from gradcheck.verdict import Array, Detail

FEW = 4
"""So many rows or columns are listed; of more, only their number is said."""


def excess_of(detail: Detail) -> Array:
    """`detail.excess`, also where it is beyond the largest number."""
    with np.errstate(all="ignore"):
        return detail.excess


def pattern_of(detail: Detail) -> str:
    """'all 12 entries are off', 'off in column 3', '7 of 12 entries are off'; '' if none is."""
    excess = as_matrix(excess_of(detail))
    measured, off = ~np.isnan(excess), abs(excess) > 1
    number, total = int(off.sum()), int(measured.sum())
    if number == 0 or total == 1:
        return ""
    among = "" if total == excess.size else " that were measured"
    if number == total:
        return f"all {count(total)} entries{among} are off"
    if number == 1:
        return f"one of {count(total)} entries{among} is off: {place_of(off, detail)}"
    described = f"{count(number)} of {count(total)} entries{among} are off"
    lines = whole_lines(measured, off)
    return f"{described}: {lines}" if lines else described


def place_of(off: Array, detail: Detail) -> str:
    """The index of the only entry that is off."""
    index = np.unravel_index(int(off.argmax()), detail.numeric.shape)
    return "[" + ", ".join(str(int(k)) for k in index) + "]"


def as_matrix(array: Array) -> Array:
    """A vector as one row, more dimensions than two as the first and all others."""
    if array.ndim < 2:
        return array.reshape(1, -1)
    return array.reshape(array.shape[0], -1) if array.size else array.reshape(1, 0)


def whole_lines(measured: Array, off: Array) -> str:
    """The rows and columns that hold all of the entries that are off, and no others."""
    if off.shape[0] == 1:
        entries = np.flatnonzero(off)
        is_short = len(entries) <= FEW or np.ptp(entries) == len(entries) - 1
        return listed("entry", "entries", entries) if is_short else ""
    if off.shape[1] == 1:
        return listed("row", "rows", np.flatnonzero(off))
    if off.shape[0] == off.shape[1] and (off == (measured & ~np.eye(len(off), dtype=bool))).all():
        return "all but the diagonal"
    rows = measured.any(axis=1) & (off == measured).all(axis=1)
    columns = measured.any(axis=0) & (off == measured).all(axis=0)
    if (off & ~rows[:, None] & ~columns).any():
        return ""
    lines = [
        listed(title, title + "s", np.flatnonzero(wrong))
        for title, wrong in (("row", rows), ("column", columns))
        if wrong.any()
    ]
    return " and ".join(lines)


def listed(one: str, many: str, indices: Array) -> str:
    """'row 3', 'rows 1, 2 and 5', 'rows 3 to 9', '7 rows, from 1 to 20'."""
    first, last = int(indices[0]), int(indices[-1])
    if len(indices) == 1:
        return f"{one} {first}"
    if len(indices) > 2 and last - first == len(indices) - 1:
        return f"{many} {first} to {last}"
    if len(indices) > FEW:
        return f"{len(indices)} {many}, from {first} to {last}"
    return f"{many} {', '.join(map(str, indices[:-1].tolist()))} and {last}"
