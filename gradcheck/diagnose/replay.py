"""Replay: what a mutant of the right formula would give, held against what backward gives.

The right formula is known exactly, once the structure of forward is. So a mutant is told from
it by far smaller differences than numeric gradients could show, and at two points: one that
fits at the first by chance does not at the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import are_distributions

Array = np.ndarray

ROUNDING = 64.0
"""Units in the last place of the un-cancelled sum by which two orders of summing differ."""

NEARLY = 0.9
"""At most, where a mutant comes near but differs by more than rounding."""

ONCE = 0.3
"""What a match is worth that holds at the first point only."""


@dataclass(frozen=True)
class Scene:
    """A point, and what backward gives there."""

    inputs: list[Any]
    cotangent: Array
    gradients: list[Any]


def scenes(evidence: Evidence) -> list[Scene]:
    """The point of the check, and another one of other sizes; remembered."""
    if "scenes" not in evidence.memory:
        evidence.memory["scenes"] = list(taken(evidence))
    found: list[Scene] = evidence.memory["scenes"]
    return found


def taken(evidence: Evidence) -> list[Scene]:
    found = []
    gradients = evidence.gradients_at()
    if gradients is None:
        gradients = evidence.analytic
    found.append(Scene(list(evidence.inputs), wide(evidence.cotangents[0]), gradients))
    inputs = [moved(a, evidence.rng) for a in evidence.inputs]
    cotangents = [
        c if evidence.is_fixed else np.asarray(evidence.rng.standard_normal(c.shape), c.dtype)
        for c in evidence.cotangents
    ]
    again = evidence.gradients_at(cotangents, inputs)
    if again is not None:
        found.append(Scene(inputs, wide(cotangents[0]), again))
    return found


def wide(array: Any) -> Array:
    return np.asarray(array, np.float64)


def moved(value: Any, rng: np.random.Generator) -> Any:
    """Other numbers of about the same size; what is all ones (γ, say) becomes random.

    Targets stay what they are: two numbers, such as zero and one, and no others.
    """
    if not is_floating(value) or value.size == 0:
        return value
    if (
        value.size > 2
        and np.isin(value, (low := value.min(), high := value.max())).all()
        and (low < high)
    ):
        return value
    if (value == value.flat[0]).all():
        return np.asarray(value + rng.uniform(0.5, 1.0, value.shape), value.dtype)
    order = rng.permutation(value.shape[0])
    if value.min() >= 0 and value.max() <= 1:  # probabilities stay between 0 and 1
        powers = np.asarray(value[order] ** 1.2, value.dtype)
        whole = powers.sum(axis=-1, keepdims=True) if are_distributions(value) else 1
        return np.asarray(powers / whole, value.dtype)
    noise = 0.2 * value.std() * rng.standard_normal(value.shape)
    return np.asarray(1.25 * (value[order] - value.mean()) + value.mean() + noise, value.dtype)


def explained(found: Array, mutant: Array, right: Array, noise: float) -> float:
    """From 0 to 1: how much of the way from the right gradient to that found a mutant goes."""
    if found.shape != mutant.shape or found.shape != right.shape:
        return 0.0
    if not (np.isfinite(found).all() and np.isfinite(mutant).all()):
        return 0.0
    off = float(np.linalg.norm(found - right))
    left = float(np.linalg.norm(found - mutant))
    if not off > 3 * noise:
        return 0.0
    if left <= noise:
        return 1.0
    return max(0.0, NEARLY - 3 * (left - noise) / off)


def match(
    evidence: Evidence,
    i: int,
    mutant: Callable[[Scene], Array | None],
    right: Callable[[Scene], Array | None],
    noise: Callable[[Scene], float],
) -> float:
    """How well a mutant explains the gradient of input i at both points."""
    scores: list[float] = []
    for scene in scenes(evidence):
        found, expected, candidate = scene.gradients[i], right(scene), mutant(scene)
        if found is None or expected is None or candidate is None:
            return scores[0] * ONCE if scores else 0.0
        scores.append(explained(wide(found), candidate, expected, noise(scene)))
        if scores[0] == 0:
            return 0.0
    if len(scores) < 2:
        return scores[0] if scores else 0.0
    return scores[0] * (ONCE + (1 - ONCE) * scores[1])


def unit(gradients: Sequence[Any], i: int) -> float:
    """Relative rounding of the gradient of input i."""
    dtype = np.asarray(gradients[i]).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
