"""Units that learn nothing, and units that all learn the same."""

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.course import parameters
from gradcheck.diagnose.causes import cause
from gradcheck.network.drive import output_at
from gradcheck.subject import Raised
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding

Array = np.ndarray


UNUSED = "the loss does not depend on it: is the layer used in forward?"

FAR = 1e6
"""Numbers of this size wake any unit that is only dead: what they do not change is not used."""


def unused_parameters(net: Any, x: Array, gradients: dict[str, Array]) -> set[str]:
    """Those without a gradient that change no output, whatever they are."""
    still = [
        (name, getattr(layer, attribute))
        for name, layer, attribute in parameters(net)
        if name in gradients and not gradients[name].any()
    ]
    if not still:
        return set()
    before = output_at(net, x)
    return {name for name, array in still if changes_nothing(net, x, array, before)}


def changes_nothing(net: Any, x: Array, array: Array, before: Array) -> bool:
    """Large numbers of both signs, and what is not a number, leave every output as it is."""
    kept = array.copy()
    signs = np.where(np.arange(array.size).reshape(array.shape) % 2, -FAR, FAR)
    others = [signs, -signs, *([np.full(array.shape, np.nan)] if array.dtype.kind == "f" else [])]
    try:
        for other in others:
            array[...] = other
            if not np.array_equal(output_at(net, x), before):
                return False
    except Raised:  # it is used, and not for such numbers
        return False
    finally:
        array[...] = kept
    return True


def note_units(
    findings: list[Finding], gradients: dict[str, Array], unused: set[str]
) -> tuple[list[Finding], list[str], tuple[Cause, ...]]:
    """Findings of dead or unused layers are no pass; conventions tell dead units, notes identical
    ones.
    """
    found, notes, conventions = [], [], []
    blocked = ""  # the last layer through which nothing comes back: those below have no say
    for finding in reversed(findings):
        gradient = gradients.get(finding.name)
        is_weight = finding.name.endswith(".W") and finding.verdict == PASS
        if finding.name in unused and finding.verdict != FAIL:
            finding = replace(finding, verdict=INCONCLUSIVE, note=UNUSED)
        elif is_weight and gradient is not None and gradient.ndim == 2:
            place = finding.name.removesuffix(".W")
            dead = dead_units(gradient, gradients.get(f"{place}.b"))
            if dead.any() and not blocked:
                told = f"{dead.sum()} of {dead.size} units are dead: zero for every sample"
                finding = replace(finding, note=finding.note or told)
                count, where = int(dead.sum()), f" of {place}"
                conventions.append(cause("dead-unit", count=count, total=dead.size, place=where))
                blocked = place if dead.all() else ""
            if not gradient.any():
                why = f"the gradient is zero, as all units of {blocked} are dead"
                told = why if blocked else "the gradient is zero, as all that comes in is"
                finding = replace(finding, verdict=INCONCLUSIVE, note=finding.note or told)
            elif is_uniform(gradient):
                notes.append(
                    f"{finding.name}: all columns of the gradient are the same, as after a "
                    "constant initialisation: the units can never differ"
                )
        found.append(finding)
    return found[::-1], notes[::-1], tuple(conventions[::-1])


def dead_units(weights: Array, biases: Array | None) -> Array:
    """Of each unit, whether nothing comes back to it. Where all that comes in is zero, the
    gradient of the bias tells.
    """
    dead = np.asarray((weights == 0).all(axis=0))
    if biases is None or biases.size != dead.size:
        return dead
    return np.asarray(dead & (biases.ravel() == 0))


def is_uniform(gradient: Array) -> bool:
    return bool(gradient.shape[1] > 1 and (gradient == gradient[:, :1]).all() and gradient.any())
