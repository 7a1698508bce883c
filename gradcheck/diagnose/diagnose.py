"""diagnose: every recogniser is asked, and what they say is ranked."""

from collections.abc import Callable, Iterator
from types import ModuleType

from gradcheck.diagnose import (
    affine,
    arrangement,
    batchnorm,
    loss,
    pointwise,
    precision,
    region,
    scaling,
    sums,
)
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.subject import BudgetSpent
from gradcheck.verdict import Cause

Recogniser = Callable[[Evidence, int], Iterator[Cause]]

FAMILIES: tuple[ModuleType, ...] = (
    scaling,
    arrangement,
    pointwise,
    affine,
    sums,
    region,
    precision,
    batchnorm,
    loss,
)

SHOWN = 5
"""Causes that are reported for one gradient at most."""

LEAST = 0.1
"""A score below which a cause is not worth reading."""


def diagnose(evidence: Evidence, i: int) -> tuple[Cause, ...]:
    """The causes of the wrong gradient of input i, the likeliest first."""
    if evidence.analytic[i].dtype.kind not in "fiub":  # no real numbers: nothing to compare
        return (cause("unrelated"),)
    best: dict[str, Cause] = {}
    for family in FAMILIES:
        for recogniser in family.RECOGNISERS:
            try:
                for found in recogniser(evidence, i):
                    if found.score >= LEAST and (
                        found.slug not in best or found.score > best[found.slug].score
                    ):
                        best[found.slug] = found
            except BudgetSpent:
                break
    ranked = sorted(best.values(), key=lambda found: -found.score)
    return tuple(ranked[:SHOWN]) or (cause("unrelated"),)
