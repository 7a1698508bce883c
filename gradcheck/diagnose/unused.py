"""Inputs that forward does not use, whose gradient backward gives all the same."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import flat
from gradcheck.diagnose.affine import affine_of
from gradcheck.diagnose.arrangement import numbers
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import certainty, close
from gradcheck.diagnose.sums import axes_sets
from gradcheck.verdict import Cause

Array = np.ndarray


def bias_left_out(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Forward gives the same whatever the input is, and its gradient is that of a bias, Σ dz."""
    analytic, known = numbers(evidence, i), evidence.measured(i)
    if analytic is None or len(evidence.outputs) != 1 or evidence.numeric[i] is None:
        return
    if evidence.numeric[i][known].any() or has_effect(evidence, i):
        return
    deltas = [np.asarray(evidence.cotangents[0], np.float64)]
    inside = affine_of(evidence, i)
    if inside is not None and inside.slope is not None:
        deltas.append(deltas[0] * inside.slope)
    for delta in deltas:
        for axes in axes_sets(delta.ndim):
            summed = delta.sum(axis=axes).ravel()
            if summed.size > 0 and close(summed, analytic.ravel(), certainty(evidence, i)):
                yield cause("bias-left-out")
                return


def has_effect(evidence: Evidence, i: int) -> bool:
    """Whether any output changes, by a single bit, where the input is another one."""
    x = evidence.inputs[i]
    moved = [np.asarray(x + 1, x.dtype) if k == i else a for k, a in enumerate(evidence.inputs)]
    here, there = evidence.outputs_at(evidence.inputs), evidence.outputs_at(moved)
    return here is None or there is None or not np.array_equal(flat(here), flat(there))


RECOGNISERS = (bias_left_out,)
