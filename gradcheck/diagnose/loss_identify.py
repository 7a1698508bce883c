"""Which loss or softmax forward is, and of what: found by its values at two points."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.layers import Layers, networks
from gradcheck.diagnose.losses import LOSSES, MAPS, OUTPUT, Loss, softmax
from gradcheck.diagnose.replay import ROUNDING, Scene, scenes, unit, wide
from gradcheck.diagnose.source import Source, sources

Array = np.ndarray
Targets = Callable[[Sequence[Any]], Array]

FIT = {8: 1e-9, 4: 1e-4}
"""By item size, relative: how well a loss must give what forward gives."""

SEEN = 1e-7
"""Relative accuracy of targets that only differences show."""

TELLING = 1e-5
"""How near to 0 and 1 targets must be that were found from differences."""

FEW = 300
"""Entries of which each may be moved far away, to see the target that belongs to it."""

LARGEST = 1_000_000
"""Entries of an input: of larger ones no loss is looked for."""


@dataclass(frozen=True)
class Known:
    """forward = scale·(the loss of the source and the targets), summed or row by row."""

    loss: Loss
    source: Source | Layers
    targets: Targets | None
    """None for a map such as the softmax, where the cotangent takes their place."""
    scale: float
    is_inferred: bool = False

    def at(self, scene: Scene, gradient: Callable[[Array, Array], Array], i: int) -> Array | None:
        """The gradient of input i, given that of the plain sum with respect to z."""
        z = self.source.value(scene.inputs)
        if self.targets is None:
            dz = self.scale * gradient(z, scene.cotangent)
        else:
            weights = scene.cotangent
            if 0 < weights.ndim < z.ndim:
                weights = weights[..., None]
            dz = self.scale * weights * gradient(z, self.targets(scene.inputs))
        return self.source.pull(i, np.asarray(dz), scene.inputs)

    def noise(self, scene: Scene, i: int) -> float:
        def sizes(z: Array, t: Array) -> Array:
            bounded = np.minimum(abs(z), 1.0)
            return np.asarray(abs(self.loss.gradient(z, t)) + abs(t) + bounded)

        positive = [abs(a) if is_floating(a) else a for a in scene.inputs]
        signed = replace(scene, cotangent=abs(scene.cotangent))
        z = self.source.value(scene.inputs)
        whole = self.at(signed, lambda _, t: sizes(z, t), i)
        if self.source.w is not None and whole is not None:
            dz = np.full(z.shape, abs(self.scale) * abs(scene.cotangent).max(initial=0))
            whole = self.source.pull(i, dz, positive)
        relative = max(ROUNDING * unit(scene.gradients, i), SEEN if self.is_inferred else 0.0)
        return np.inf if whole is None else relative * float(np.linalg.norm(whole))


def found_in(evidence: Evidence) -> Known | None:
    """The loss that forward is; remembered."""
    if "loss" not in evidence.memory:
        is_one = len(evidence.outputs) == 1
        is_small = all(not is_floating(a) or a.size <= LARGEST for a in evidence.inputs)
        evidence.memory["loss"] = identify(evidence) if is_one and is_small else None
    known: Known | None = evidence.memory["loss"]
    return known


def identify(evidence: Evidence) -> Known | None:
    with np.errstate(all="ignore"):
        for known in candidates(evidence):
            if agrees(evidence, known):
                return known
    return None


def candidates(evidence: Evidence) -> Iterator[Known]:
    """Losses that give the outputs at the point of the check."""
    there = evidence.outputs_at(evidence.inputs)  # of the wide inputs, so wide itself if it can be
    output = wide(evidence.outputs[0] if there is None else there[0])
    for source in sources(evidence.inputs, output.shape):
        z = source.value(evidence.inputs)
        for form in MAPS if z.ndim else ():
            yield from scaled(Known(form, source, None, 1.0), form.value(z, z), output)
    if output.ndim == 2:
        for layers in networks(evidence.inputs):
            value = layers.value(evidence.inputs)
            if len(layers.steps) > 1 and value.shape == output.shape:
                yield from scaled(Known(OUTPUT, layers, None, 1.0), value, output)
    deeper = networks(evidence.inputs) if output.ndim < 2 else iter(())
    every: Iterator[Source | Layers] = chain(sources(evidence.inputs, None), deeper)
    for taken in every:
        z = taken.value(evidence.inputs)
        if z.ndim == 0:
            continue
        for targets in target_choices(evidence.inputs, taken, z):
            for loss in LOSSES:
                if loss.takes == "any" or (z.min() > 0 and z.max() < 1):
                    value = loss.value(z, targets(evidence.inputs))
                    yield from scaled(Known(loss, taken, targets, 1.0), value, output)
            if isinstance(taken, Source):
                yield from with_smoothing(evidence, taken, targets, output)
        if isinstance(taken, Source):
            yield from with_hidden_targets(evidence, taken, z, output)


def scaled(known: Known, value: Array, output: Array) -> Iterator[Known]:
    """With the scale that makes the value the output, if there is one."""
    value = reduced(value, output.shape)
    size = float((value * value).sum())
    if value.shape != output.shape or not 0 < size < np.inf:
        return
    scale = float((value * output).sum()) / size
    if scale and abs(scale * value - output).max() <= tolerance(output):
        yield replace(known, scale=scale)


def tolerance(output: Array) -> float:
    return FIT[8] * float(abs(output).max(initial=0)) + 1e-300


def reduced(value: Array, shape: tuple[int, ...]) -> Array:
    """Summed over all entries, or over the classes, as the output is."""
    if shape == value.shape:
        return value
    if shape == ():
        return np.asarray(value.sum())
    return np.asarray(value.sum(axis=-1)) if value.ndim > len(shape) else value


def target_choices(inputs: Sequence[Any], source: Source | Layers, z: Array) -> Iterator[Targets]:
    """What may be the targets: an array like z, or a label for each row."""
    for k, a in enumerate(inputs):
        if k in source.inputs or not isinstance(a, np.ndarray) or a.dtype.kind not in "fiub":
            continue
        if a.size == z.size:
            yield lambda given, k=k: wide(given[k]).reshape(z.shape)  # type: ignore[misc]
            if np.isin(a, (0, 1)).all():  # as signs
                yield lambda given, k=k: 2 * wide(given[k]).reshape(z.shape) - 1  # type: ignore[misc]
            if np.isin(a, (-1, 1)).all():
                yield lambda given, k=k: (wide(given[k]).reshape(z.shape) + 1) / 2  # type: ignore[misc]
        is_label = a.size * z.shape[-1] == z.size and (a == np.floor(a)).all()
        if is_label and a.size and a.min() >= 0 and a.max() < z.shape[-1]:
            eye = np.eye(z.shape[-1])

            def one_hot(given: Sequence[Any], k: int = k, eye: Array = eye) -> Array:
                return np.asarray(eye[np.asarray(given[k]).astype(int)].reshape(z.shape))

            yield one_hot


def with_smoothing(
    evidence: Evidence, source: Source, targets: Targets, output: Array
) -> Iterator[Known]:
    """Targets mixed with equal ones; by how much, the value says, which is linear in it."""
    z = source.value(evidence.inputs)
    sharp, classes = targets(evidence.inputs), z.shape[-1]
    if len(scenes(evidence)) < 2 or classes < 2 or abs(sharp.sum(axis=-1) - 1).max() > 1e-6:
        return
    even = np.full(z.shape, 1 / classes)
    low, high = (reduced(LOSSES[0].value(z, t), output.shape).sum() for t in (sharp, even))
    for scale in (classes / z.size, 1.0, 1.0 / z.size):
        mixed = float((output.sum() / scale - low) / (high - low)) if high != low else 0.0
        if 1e-6 < mixed < 1:

            def smoothed(given: Sequence[Any], mixed: float = mixed) -> Array:
                return np.asarray((1 - mixed) * targets(given) + mixed / classes)

            yield Known(LOSSES[0], source, smoothed, scale)


def with_hidden_targets(
    evidence: Evidence, source: Source, z: Array, output: Array
) -> Iterator[Known]:
    """Targets that forward keeps to itself: found from differences, loss by loss."""
    if source.w is not None or not evidence.measured(source.x).all():
        return
    if output.shape not in ((), z.shape[:-1]):  # one number, or one a row
        return
    weights = wide(evidence.cotangents[0])
    weights = weights[..., None] if 0 < weights.ndim < z.ndim else weights
    rows = z.size // z.shape[-1]
    found = np.asarray(evidence.numeric[source.x], np.float64) / weights
    choices = [
        known
        for scale in dict.fromkeys((1.0 / rows, 1.0, 1.0 / z.size, 0.5, 0.5 / rows))
        for loss in LOSSES
        if loss.takes == "any" or (z.min() > 0 and z.max() < 1)
        for known in hiding(loss, source, z, output, found / scale, scale)
    ]
    yield from sorted(choices, key=lambda known: not are_targets(known, evidence))
    yield from with_far_targets(evidence, source, z, output)


def are_targets(known: Known, evidence: Evidence) -> bool:
    """Zeros and ones, or rows that sum to one: what tells the scale of a loss linear in them."""
    assert known.targets is not None
    y = known.targets(evidence.inputs)
    is_binary = abs(y * (1 - y)).max() < TELLING
    return bool(is_binary or abs(y.sum(axis=-1) - 1).max() < TELLING)


def hiding(
    loss: Loss, source: Source, z: Array, output: Array, dz: Array, scale: float
) -> Iterator[Known]:
    """The loss with the targets for which its gradient is dz, if that is linear in them."""
    at_zero = loss.gradient(z, np.zeros(z.shape))
    slope = loss.gradient(z, np.ones(z.shape)) - at_zero
    if not np.isfinite(slope).all() or not slope.all():
        return
    y = (dz - at_zero) / slope
    if loss.name in NEEDS_PROBABILITIES and not (y.min() > -1e-5 and y.max() < 1 + 1e-5):
        return
    yield from hidden(loss, source, y, z, output, scale)


def hidden(
    loss: Loss, source: Source, y: Array, z: Array, output: Array, scale: float
) -> Iterator[Known]:
    if abs(y).max() < SEEN * max(1.0, abs(z).max()):
        return  # a function of z alone
    value = reduced(loss.value(z, y), output.shape)
    if value.shape != output.shape or not np.isfinite(value).all():
        return
    if abs(scale * value - output).max() <= 1e-6 * (1 + abs(output).max()):
        yield Known(loss, source, lambda _: y, scale, True)


NEEDS_PROBABILITIES = (LOSSES[0].name,)
"""Else any gradient would be one of this loss, for some targets."""


def with_far_targets(
    evidence: Evidence, source: Source, z: Array, output: Array
) -> Iterator[Known]:
    """Targets of a softmax that sum to anything: where zₖ is far below, ∂L/∂zₖ is −yₖ."""
    if output.shape != () or z.ndim != 2 or not 1 < z.size <= FEW:
        return
    far = np.zeros(z.shape)
    for index in np.ndindex(*z.shape):
        ends = []
        for low in (-50.0, -52.0):
            moved = z.copy()
            moved[index] = low
            inputs = [moved if k == source.x else a for k, a in enumerate(evidence.inputs)]
            outputs = evidence.outputs_at(inputs)
            if outputs is None or not np.isfinite(outputs[0]).all():
                return
            ends.append(float(outputs[0]))
        far[index] = (ends[1] - ends[0]) / 2
    if not far.any():
        return
    rows = len(z)
    for scale in (*scale_of_backward(evidence, source, far, z), 1.0 / rows, 1.0, 1.0 / z.size):
        for loss in LOSSES[:2]:
            yield from hidden(loss, source, far / scale, z, output, scale)


def scale_of_backward(evidence: Evidence, source: Source, far: Array, z: Array) -> Iterator[float]:
    """The s of s·(p − y), where backward gives that. Of −Σ s·y·log p, forward shows s·y alone."""
    analytic = evidence.analytic[source.x]
    if analytic is not None and analytic.shape == z.shape:
        scales = (analytic + far) / softmax(z)
        scale = float(np.median(scales))
        if scale > 0 and abs(scales - scale).max() <= 1e-6 * scale:
            yield scale


def agrees(evidence: Evidence, known: Known) -> bool:
    """Whether the loss gives the outputs at another point, too."""
    taken = scenes(evidence)
    if len(taken) < 2:
        return True
    inputs = taken[1].inputs
    outputs = evidence.outputs_at(inputs)
    if outputs is None:
        return True
    z = known.source.value(inputs)
    targets = z if known.targets is None else known.targets(inputs)
    value = known.scale * reduced(known.loss.value(z, targets), outputs[0].shape)
    exact = 1e-6 if known.is_inferred else FIT[8]
    size = float(abs(outputs[0]).max(initial=0)) + (1.0 if known.is_inferred else 1e-300)
    return bool(value.shape == outputs[0].shape and abs(value - outputs[0]).max() <= exact * size)
