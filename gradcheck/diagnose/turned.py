"""The same pair with its matrices transposed: many keep weights in the shape (outputs, inputs).

What looks for x·w finds x·wᵀ in this way, too.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.evidence import Evidence
from gradcheck.subject import Subject

Array = np.ndarray


def turned(evidence: Evidence) -> Iterator[Evidence]:
    """For each matrix that has a row for each sample, the others transposed."""
    if len(evidence.outputs) != 1 or evidence.outputs[0].ndim == 0:
        return
    matrices = [k for k, a in enumerate(evidence.inputs) if is_floating(a) and a.ndim == 2]
    for x in matrices:
        if len(evidence.inputs[x]) == len(evidence.outputs[0]) and len(matrices) > 1:
            yield with_transposed(evidence, {k for k in matrices if k != x})


def with_transposed(evidence: Evidence, places: set[int]) -> Evidence:
    """The evidence of the pair that takes and gives these inputs transposed."""

    def turn(values: list[Any] | tuple[Any, ...]) -> list[Any]:
        return [
            np.ascontiguousarray(v.T) if k in places and isinstance(v, np.ndarray) else v
            for k, v in enumerate(values)
        ]

    def forward(*given: Any) -> tuple[Array, ...]:
        return tuple(evidence.subject.outputs(turn(given)))

    def backward(dy: tuple[Array, ...], *given: Any) -> tuple[Any, ...]:
        return tuple(turn(evidence.subject.gradients(list(dy), turn(given))))

    subject = Subject(forward, backward, evidence.names)
    subject.gives_tuple = True
    return replace(
        evidence,
        subject=subject,
        inputs=turn(evidence.inputs),
        analytic=turn(evidence.analytic),
        numeric=turn(evidence.numeric),
        error_bars=turn(evidence.error_bars),
        memory={},
    )
