"""Arithmetic: too few digits, nothing at all, or no numbers."""

from collections.abc import Iterator

import numpy as np

from gradcheck.coarse import NUDGES, dtype_of_numbers, is_deaf
from gradcheck.diagnose.arrangement import numbers
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import analytic_of
from gradcheck.verdict import Cause

Array = np.ndarray

END = 0.92
"""The match where the last rows or columns are zero: a loop that ends too early does that."""


def reduced_precision(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Nudging the inputs by less than float32 holds does not change the gradient at all."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None or not known.any() or evidence.inputs[i].dtype != np.float64:
        return
    scale = evidence.scale(i)
    error = float(abs(analytic - evidence.numeric[i])[known].max())
    if not scale or not np.isfinite(error):
        return
    for dtype, nudge, most in NUDGES:
        if 0 < error <= most * scale and loses(evidence, i, analytic, dtype, nudge):
            digits = max(1, round(-np.log10(error / scale)))
            yield cause("reduced-precision", digits=digits, dtype=dtype)
            return
    bars = evidence.error_bars[i][known]
    off = abs(analytic - evidence.numeric[i])[known]
    if error <= 1e-6 * scale and np.mean(off > bars) > 0.3:
        digits = round(-np.log10(error / scale))
        yield cause("reduced-precision", 0.8, digits=digits, dtype="fewer digits than float64")


def loses(evidence: Evidence, i: int, analytic: Array, dtype: str, nudge: float) -> bool:
    """Whether the numbers are of that dtype, or come from arguments that were rounded to it."""
    if dtype_of_numbers(analytic, dtype):
        return True
    if float(np.finfo(evidence.analytic[i].dtype).eps) > nudge:
        return False
    return is_deaf(
        evidence.gradients_at, i, analytic, evidence.cotangents, evidence.inputs, nudge,
        evidence.is_fixed,
    )  # fmt: skip


def stops(evidence: Evidence, i: int) -> Iterator[Cause]:
    """All zero, where the function depends on the input."""
    analytic, known = numbers(evidence, i), evidence.measured(i)
    if analytic is None or not known.any() or not evidence.numeric[i][known].any():
        return
    if not analytic.any():
        yield cause("gradient-stops", where=evidence.names[i])
    elif analytic.shape == known.shape and known.all():
        yield from stops_in_part(evidence, i, analytic)


def stops_in_part(evidence: Evidence, i: int, analytic: Array) -> Iterator[Cause]:
    """Zero along whole rows or columns, as of one gate or head of several, and right elsewhere."""
    numeric, bars = evidence.numeric[i], np.nan_to_num(evidence.error_bars[i])
    is_wrong = abs(analytic - numeric) > bars
    if not is_wrong.any() or analytic[is_wrong].any():
        return
    for axis, size in enumerate(analytic.shape):
        others = tuple(k for k in range(analytic.ndim) if k != axis)
        lines = np.flatnonzero(is_wrong.any(axis=others))
        is_whole = not np.take(analytic, lines, axis).any()
        if is_whole and 0 < len(lines) < size and analytic.ndim > 1:
            shown = ", ".join(str(k) for k in lines[:6])
            where = f"index {shown} of axis {axis} of {evidence.names[i]}"
            if axis == 0 and all(y.ndim == 0 for y in evidence.outputs):
                detail = f"sample {shown} of {size} is left out"
                yield cause("samples-missing", detail=detail)
            is_end = lines[-1] == size - 1 and len(lines) == size - lines[0]
            yield cause("gradient-stops", END if is_end else 0.97, where=where)
            return


def not_finite(evidence: Evidence, i: int) -> Iterator[Cause]:
    """NaN or inf where differences are finite."""
    analytic, known = analytic_of(evidence, i), evidence.measured(i)
    if analytic is None:
        return
    bad = ~np.isfinite(analytic)
    if not bad.any():
        return
    x = evidence.inputs[i][bad]
    where = "everywhere" if bad.all() else f"at {bad.sum()} of {bad.size} entries"
    if not bad.all() and (x == 0).all():
        where = f"where {evidence.names[i]} = 0"
    if overflows(evidence, i, bad):
        yield cause("max-shift-missing")
    value = "NaN" if np.isnan(analytic[bad]).all() else "not finite"
    yield cause("not-finite", 1.0 if known.any() else 0.8, where=where, value=value)


def overflows(evidence: Evidence, i: int, bad: Array) -> bool:
    """Whether only rows are bad that hold an argument whose exp, or its square, overflows."""
    x = np.asarray(evidence.inputs[i])
    limit = np.log(np.finfo(evidence.analytic[i].dtype).max) / 2
    own, of_row = abs(x) > limit, (abs(x) > limit).any(axis=-1, keepdims=True) if x.ndim else False
    return bool((own | of_row)[bad].all())


def dead_units(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Columns of outputs that are zero for every sample."""
    outputs = evidence.outputs
    if len(outputs) != 1 or outputs[0].ndim != 2 or len(outputs[0]) < 2:
        return
    dead = (outputs[0] == 0).all(axis=0)
    if dead.any():
        yield cause("dead-unit", count=int(dead.sum()), total=dead.size)


RECOGNISERS = (reduced_precision, stops, not_finite, dead_units)
