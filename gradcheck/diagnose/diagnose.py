"""diagnose: every recogniser is asked, and what they say is ranked."""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

from gradcheck.budget import BudgetSpent
from gradcheck.diagnose import (
    affine,
    arrangement,
    batchnorm,
    chain,
    changed,
    formula,
    held,
    inner,
    inside,
    loss,
    pointwise,
    precision,
    region,
    running,
    scaling,
    sums,
    unused,
    within,
)
from gradcheck.diagnose.causes import cause, widened
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.turned import turned
from gradcheck.guard import spared
from gradcheck.verdict import Cause

Recogniser = Callable[[Evidence, int], Iterator[Cause]]

FAMILIES: tuple[ModuleType, ...] = (
    scaling,
    arrangement,
    pointwise,
    chain,
    formula,
    affine,
    changed,
    sums,
    unused,
    region,
    precision,
    batchnorm,
    running,
    loss,
    held,
    inner,
    inside,
    within,
)

OF_PRODUCTS: tuple[ModuleType, ...] = (affine, inner, inside)
"""Those that look for products of matrices, which may be transposed."""

EXPLAINED = 0.6
"""A score from which on nothing further is looked for."""

SHOWN = 5
"""Causes that are reported for one gradient at most."""

LEAST = 0.05
"""A score below which a cause is not worth reading."""


def diagnose(evidence: Evidence, i: int) -> tuple[Cause, ...]:
    """The causes of the wrong gradient of input i, the likeliest first."""
    if evidence.analytic[i].dtype.kind not in "fiub":  # no real numbers: nothing to compare
        return (cause("unrelated"),)
    best: dict[str, Cause] = {}
    collect(FAMILIES, evidence, i, best)
    if max((found.score for found in best.values()), default=0.0) < EXPLAINED:
        for other in spared(lambda: turned(evidence)):
            collect(OF_PRODUCTS, other, i, best)
    ranked = sorted(widened(best.values()), key=lambda found: -found.score)
    return tuple(ranked[:SHOWN]) or (cause("unrelated"),)


def collect(
    families: Sequence[ModuleType], evidence: Evidence, i: int, best: dict[str, Cause]
) -> None:
    """Each cause that is found, with the best of its scores."""
    for family in families:
        for recogniser in family.RECOGNISERS:
            for found in asked(recogniser, evidence, i):
                if found.score >= LEAST and (
                    found.slug not in best or found.score > best[found.slug].score
                ):
                    best[found.slug] = found


def asked(recogniser: Recogniser, evidence: Evidence, i: int) -> Iterator[Cause]:
    """What one recogniser says, for as long as it can."""
    try:
        yield from spared(lambda: recogniser(evidence, i))
    except BudgetSpent:
        return
