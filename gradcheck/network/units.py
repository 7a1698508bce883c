"""Units that learn nothing, and units that all learn the same."""

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.verdict import INCONCLUSIVE, PASS, Finding

Array = np.ndarray


def note_units(
    findings: list[Finding], gradients: dict[str, Array], net: Any
) -> tuple[list[Finding], list[str]]:
    """Findings of dead layers are no pass; notes tell dead units and identical ones."""
    found, notes = [], []
    for finding in findings:
        gradient = gradients.get(finding.name)
        is_weight = finding.name.endswith(".W") and finding.verdict == PASS
        if is_weight and gradient is not None and gradient.ndim == 2:
            dead = (gradient == 0).all(axis=0)
            if dead.any():
                told = f"{dead.sum()} of {dead.size} units are dead: zero for every sample"
                notes.append(f"{finding.name}: {told}, so nothing was checked there")
                verdict = INCONCLUSIVE if dead.all() else PASS
                finding = replace(finding, verdict=verdict, note=finding.note or told)
            elif is_uniform(gradient):
                notes.append(
                    f"{finding.name}: all columns of the gradient are the same, as after a "
                    "constant initialisation: the units can never differ"
                )
        found.append(finding)
    return found, notes


def is_uniform(gradient: Array) -> bool:
    return bool(gradient.shape[1] > 1 and (gradient == gradient[:, :1]).all() and gradient.any())
