"""Backward in another order than forward, reversed: tried as a whole, for it shows everywhere.

A step that is left out, or comes at another time, makes every array below it wrong at once, and
no array tells that by itself. So each other order is replayed, and held against all arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.network.mistakes import Mistake, Scene
from gradcheck.network.mistakes.scene import mistake
from gradcheck.network.replay import ActivationStep, BatchNormStep, Step, letters

Array = np.ndarray
Gradients = dict[str, Array]

SAME = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-4}
"""Relative to the largest gradient of the network: so near each array must come."""


@dataclass(frozen=True)
class Visit:
    """Some steps on the way down, and whether their own gradients, and the one below, are made."""

    steps: Sequence[Step]
    is_written: bool = True
    is_passed: bool = True


def misordered(scene: Scene, delta: Array, scales: Sequence[float]) -> Mistake | None:
    """The order that gives all the gradients observed, if there is one."""
    for one, visits in orders(scene.replay.steps):
        found = gradients_in(visits, delta)
        if found is not None and is_observed(found, scene, scales):
            return one
    return None


def gradients_in(visits: Sequence[Visit], delta: Array) -> Gradients | None:
    """What backward gives in this order; None where shapes forbid it."""
    found: Gradients = {}
    for visit in visits:
        below = delta
        for step in visit.steps:
            if below.shape != step.y.shape:
                return None
            for letter in letters(step):
                value = step.gradient(letter, below)  # type: ignore[union-attr]
                name = f"{step.place}.{letter}"
                found[name] = value if visit.is_written else np.zeros_like(value)
            below = step.backward(below)
        delta = below if visit.is_passed else delta
    found["input"] = delta
    return found


def is_observed(found: Gradients, scene: Scene, scales: Sequence[float]) -> bool:
    """Whether every array is what this order gives, but for the convention of its scale."""
    for name, observed in scene.observed.items():
        value = found.get(name)
        if value is None or value.shape != observed.shape:
            return False
        slack = SAME.get(observed.dtype, SAME[np.dtype(np.float64)]) * abs(value).max(initial=0)
        if not any((abs(observed - s * value) <= s * slack).all() for s in scales):
            return False
    return True


def orders(steps: Sequence[Step]) -> Iterator[tuple[Mistake, list[Visit]]]:
    """Forward's own order, layers exchanged or left out, batchnorm left out."""
    layers = grouped(steps)
    downwards = list(range(len(layers)))[::-1]
    yield out_of_order(layers[-1], "the layers come in the order of forward"), visits(layers)
    for above, below in zip(downwards, downwards[1:], strict=False):
        order = [{above: below, below: above}.get(k, k) for k in downwards]
        detail = f"layers {above} and {below} are exchanged"
        yield out_of_order(layers[above], detail), visits([layers[k] for k in order])
    for left_out in downwards[:-1]:
        detail = f"layer {left_out} is left out on the way down"
        for is_written in (True, False):
            kept = [Visit(layers[k], is_written or k != left_out, k != left_out) for k in downwards]
            yield out_of_order(layers[left_out], detail), kept
    yield from without_batchnorm([step for k in downwards for step in layers[k]])


def grouped(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps of each layer, in the order of backward."""
    indices = sorted({step.index for step in steps})
    return [[step for step in reversed(steps) if step.index == k] for k in indices]


def visits(layers: Sequence[Sequence[Step]]) -> list[Visit]:
    return [Visit(layer) for layer in layers]


def out_of_order(layer: Sequence[Step], detail: str) -> Mistake:
    return mistake("layers-out-of-order", place_of(layer[0]), detail=detail)


def place_of(step: Step) -> str:
    """Where the gradient that the step passes on is made."""
    return f"{step.place}.{'derivative' if isinstance(step, ActivationStep) else 'dx'}"


def without_batchnorm(steps: Sequence[Step]) -> Iterator[tuple[Mistake, list[Visit]]]:
    """Every batchnorm left out, or one of them; its own gradients are then zero."""
    norms = [k for k, step in enumerate(steps) if isinstance(step, BatchNormStep)]
    for chosen in ([norms] if norms else []) + [[k] for k in norms]:
        one = mistake("batchnorm-skipped", place_of(steps[chosen[0]]))
        for is_written in (False, True):
            kept = [
                Visit([step], is_written or k not in chosen, k not in chosen)
                for k, step in enumerate(steps)
            ]
            yield one, kept
