"""Training and evaluation taken for each other: batch statistics, or running ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.experiments import agreement
from gradcheck.diagnose.groups import Groups, partitions
from gradcheck.diagnose.normalisation import expand, first_output, replaced
from gradcheck.diagnose.replay import scenes, wide
from gradcheck.verdict import Cause

Array = np.ndarray

BATCH_EPSILONS = (1e-5, 1e-8, 1e-3, 1e-12)
"""Which eps stands beside the batch's variance is not seen in evaluation: the usual ones."""


def evaluation(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Forward is affine in x entry by entry, and backward has the terms of the batch."""
    x = evidence.inputs[i]
    if len(evidence.outputs) != 1 or not is_floating(x) or x.ndim == 0 or x.size < 2:
        return
    if f"formula {i}" in evidence.memory:
        return  # it is known exactly what backward computes
    slope = own_slope(evidence, i)
    if slope is None or evidence.analytic[i].shape != x.shape:
        return
    dy, z = wide(evidence.cotangents[0]), wide(x)
    best = 0.0
    for groups in partitions(x.shape):
        for front, xhat in pairs(evidence, groups, z, slope):
            g = front * dy
            mutant = g - groups.mean(g) - xhat * groups.mean(g * xhat)
            best = max(best, agreement(evidence, i, mutant))
            bare = front * dy
            best = max(best, 0.8 * agreement(evidence, i, bare))
    yield cause("batchnorm-mode-confused", best, used="training", mode="evaluation")


def own_slope(evidence: Evidence, i: int) -> Array | None:
    """dy/dx entry by entry, where y is affine in x and each entry depends on its own alone."""
    x = evidence.inputs[i]
    y = first_output(evidence.outputs_at, evidence.inputs)
    step = np.where(evidence.rng.random(x.shape) < 0.5, 1.0, -1.0)
    ends = [
        first_output(evidence.outputs_at, replaced(evidence.inputs, {i: x + size * step}))
        for size in (1.0, 2.0)
    ]
    one = first_output(evidence.outputs_at, replaced(evidence.inputs, {i: x + 1.0}))
    if y is None or one is None or ends[0] is None or ends[1] is None or y.shape != x.shape:
        return None
    slope = one - y
    rounding = 1e-9 * (abs(y).max() + abs(slope).max())
    if abs(ends[0] - y - step * slope).max() > rounding:
        return None
    return None if abs(ends[1] - y - 2 * step * slope).max() > rounding else slope


def pairs(
    evidence: Evidence, groups: Groups, z: Array, slope: Array
) -> Iterator[tuple[Array, Array]]:
    """What may stand in front of the batch's formula, and for x̂ in it."""
    centred = z - groups.mean(z)
    variance = groups.mean(centred * centred)
    running = [
        hat
        for k, a in enumerate(evidence.inputs)
        if is_parameter(a, z.shape) and (hat := unit_slope(evidence, k, z.shape)) is not None
    ]
    for eps in BATCH_EPSILONS:
        rstd = 1 / np.sqrt(variance + eps)
        yield slope, centred * rstd
        yield np.ones(z.shape) * rstd, centred * rstd
        for a in evidence.inputs:
            if is_parameter(a, z.shape):
                yield expand(wide(a), z.shape) * rstd, centred * rstd
    for hat in running:
        yield slope, hat


def is_parameter(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether this may be γ or β of an array of this shape: one number for each feature."""
    if not is_floating(value) or not 0 < value.ndim <= len(shape):
        return False
    widths = (shape[-1], shape[min(1, len(shape) - 1)])
    return value.size in widths and (value.ndim == 1 or value.shape[-1] == shape[-1])


def unit_slope(evidence: Evidence, k: int, shape: tuple[int, ...]) -> Array | None:
    """dy/dγ: x̂ with running statistics, if this input is γ."""
    y = first_output(evidence.outputs_at, evidence.inputs)
    moved = replaced(evidence.inputs, {k: evidence.inputs[k] + 1.0})
    again = first_output(evidence.outputs_at, moved)
    return again - y if y is not None and again is not None and again.shape == shape else None


def training(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Forward takes the batch's statistics; backward is dy times constants that are not 1/σ.

    Those are the running statistics: each column has its own factor, whatever dy is.
    """
    found = evidence.memory.get("normalisation")
    if f"formula {i}" in evidence.memory:
        return  # with few samples, other constants may look like those of evaluation
    if found is None or i != found.source.x or found.source.w is not None:
        return
    ratios = []
    for scene in scenes(evidence):
        gradient = scene.gradients[i]
        if gradient is None or gradient.shape != scene.cotangent.shape or not scene.cotangent.all():
            return
        parts = found.parts(scene.inputs, scene.cotangent)
        if parts is None:
            return
        ratio = wide(gradient) / (parts.cotangent * parts.gamma)
        spread = abs(ratio - found.groups.mean(ratio)).max(initial=0)
        if not spread <= 1e-4 * abs(ratio).max(initial=0):
            return
        ratios.append((ratio, found.root.rstd(parts.variance)))
    if all(abs(a / b - 1).max() > 1e-3 for a, b in ratios):
        yield cause("batchnorm-mode-confused", used="evaluation", mode="training")
