"""Where the mean over the batch is taken: which differences between arrays are conventions.

Layers may differ from one another; two arrays of one layer, made of the same δ, may not.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.network.route import gradient_place
from gradcheck.verdict import FAIL, PASS, Finding

SUM, MEAN = "sum", "mean"

SUM_NOTE = "the gradient of the sum over the batch"
"""How the note of one array of the sum ends."""

USUAL = "the others are of the mean, as in one year of the course: a convention"
UNUSUAL = "the others are of the mean: a convention, though together gradients of no single loss"

CLEAR = 10.0
"""Error bars from zero at which a sum and a mean are told apart beyond doubt."""

LINEAR = (".W", ".b")


def reductions(findings: list[Finding], sums: set[str]) -> dict[str, str]:
    """Of each array that passes and is certainly not zero: whether it is a sum or a mean."""
    return {
        f.name: SUM if f.name in sums else MEAN
        for f in findings
        if f.excess < 1 and clearness(f) > CLEAR
    }


def clearness(finding: Finding) -> float:
    """How many error bars the clearest entry is away from zero."""
    detail, tiny = finding.detail, np.finfo(float).tiny
    if detail is None:
        return abs(finding.numeric) / max(finding.error_bar, tiny)
    ratios = abs(detail.numeric) / np.maximum(detail.error_bar, tiny)
    return float(np.nanmax(ratios, initial=0.0))


def convention_notes(known: dict[str, str]) -> list[str]:
    """A note of each array of the sum, and what to think of it where others are of the mean."""
    notes = [f"{name}: {SUM_NOTE}" for name, way in known.items() if way == SUM]
    if not notes or MEAN not in known.values():
        return notes
    is_usual = all((way == MEAN) == name.endswith(LINEAR) for name, way in known.items())
    return [*notes, USUAL if is_usual else UNUSUAL]


def odd_ones(known: dict[str, str]) -> Iterator[str]:
    """Of two arrays of one layer that differ, the one that fewer others agree with."""
    layers: dict[str, dict[str, str]] = {}
    for name, way in known.items():
        layers.setdefault(name.rpartition(".")[0], {})[name] = way
    layers.pop("", None)  # the input stands alone
    votes = Counter(way for layer in layers.values() for way in layer.values())
    odd = MEAN if votes[MEAN] < votes[SUM] else SUM
    for layer in layers.values():
        if len(set(layer.values())) > 1:
            yield from (name for name, way in layer.items() if way == odd)


def with_odd_ones(
    findings: list[Finding], first: list[str], known: dict[str, str], count: int
) -> tuple[list[Finding], list[str]]:
    """Arrays that another of their layer contradicts fail; the notes name them."""
    odd = set(odd_ones(known))
    found = [
        wrongly_scaled(f, known[f.name], count) if f.name in odd and f.verdict == PASS else f
        for f in findings
    ]
    places = [gradient_place(f.name) for f in found[::-1] if f.name in odd]
    if places and not any(note.startswith("first wrong: ") for note in first):
        first = [f"first wrong: {places.pop(0)} (everything above it matches)", *first]
    return found, [*first, *(f"wrong by itself, too: {place}" for place in places)]


def wrongly_scaled(finding: Finding, way: str, count: int) -> Finding:
    """A sum where the layer's other array is a mean, or the other way round."""
    other = "a mean" if way == SUM else "a sum"
    factor, own = (str(count), "a sum") if way == SUM else (f"1/{count} of", "a mean")
    return replace(
        finding,
        verdict=FAIL,
        analytic=finding.analytic * (count if way == SUM else 1),
        numeric=finding.numeric * (1 if way == SUM else count),
        note=f"{own} over the batch, where its layer's other gradient is {other}",
        causes=(cause("scaled-by-batch", factor=factor, n=count),),
        detail=None,
    )
