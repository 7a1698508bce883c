"""Losses and softmaxes: which loss forward is, found by its values, and what backward forgot."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.arrays import is_floating
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.evidence import Evidence
from gradcheck.diagnose.losses import LOSSES, MAPS, Loss, Wrong, softmax
from gradcheck.diagnose.replay import ROUNDING, Scene, explained, match, scenes, unit, wide
from gradcheck.diagnose.source import Source, sources
from gradcheck.verdict import Cause

Array = np.ndarray
Targets = Callable[[Sequence[Any]], Array]

FIT = {8: 1e-9, 4: 1e-4}
"""By item size, relative: how well a loss must give what forward gives."""

SEEN = 1e-7
"""Relative accuracy of targets that only differences show."""

UNEXPLAINED = 0.3
"""The score of saying no more than which loss forward is."""

LARGEST = 1_000_000


@dataclass(frozen=True)
class Known:
    """forward = scale·(the loss of the source and the targets), summed or row by row."""

    loss: Loss
    source: Source
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


# ---------------------------------------------------------------------- which loss it is


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
    output = wide(evidence.outputs[0])
    for source in sources(evidence.inputs, output.shape):
        z = source.value(evidence.inputs)
        for form in MAPS if z.ndim else ():
            yield from scaled(Known(form, source, None, 1.0), form.value(z, z), output)
    for source in sources(evidence.inputs, None):
        z = source.value(evidence.inputs)
        if z.ndim == 0:
            continue
        for targets in target_choices(evidence.inputs, source, z):
            for loss in LOSSES:
                if loss.takes == "any" or (z.min() > 0 and z.max() < 1):
                    value = loss.value(z, targets(evidence.inputs))
                    yield from scaled(Known(loss, source, targets, 1.0), value, output)
            yield from with_smoothing(evidence, source, targets, output)
        yield from with_hidden_targets(evidence, source, z, output)


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


def target_choices(inputs: Sequence[Any], source: Source, z: Array) -> Iterator[Targets]:
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
    """Targets that forward keeps to itself: y = softmax(z) − dz, with dz from differences."""
    i, rows = source.x, z.size // z.shape[-1]
    if source.w is not None or output.ndim > 1 or not evidence.measured(i).all():
        return
    weights = wide(evidence.cotangents[0])
    weights = weights[..., None] if weights.ndim else weights
    for scale in (1.0 / rows, 1.0, 1.0 / z.size):
        y = softmax(z) - evidence.numeric[i] / (scale * weights)
        if y.min() > -1e-5 and y.max() < 1 + 1e-5:
            known = Known(LOSSES[0], source, lambda _, y=y: y, scale, True)  # type: ignore[misc]
            value = reduced(LOSSES[0].value(z, y), output.shape)
            if value.shape == output.shape and abs(scale * value - output).max() <= 1e-6 * (
                1 + abs(output).max()
            ):
                yield known


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


# ---------------------------------------------------------------------- what is wrong with it


def losses(evidence: Evidence, i: int) -> Iterator[Cause]:
    """The gradient of a loss against every wrong one that is known."""
    if evidence.analytic[i] is None:
        return
    known = found_in(evidence)
    if known is None:
        return
    with np.errstate(all="ignore"):
        yield from unshifted(evidence, known, i)
        best = 0.0
        for wrong in known.loss.wrong:
            score = score_of(evidence, known, i, wrong.gradient)
            best = max(best, score)
            yield cause(wrong.slug, score, **wrong.fields)
        yield from clipped(evidence, known, i)
        if best < 1 and known.targets is not None:
            yield from rescaled(evidence, known, i)
        if best == 0:
            detail = f"forward is {known.scale:.4g} times {known.loss.name}; no known slip fits"
            yield cause("gradient-of-another-loss", UNEXPLAINED, detail=detail)


def score_of(
    evidence: Evidence, known: Known, i: int, gradient: Callable[[Array, Array], Array]
) -> float:
    return match(
        evidence,
        i,
        lambda scene: known.at(scene, gradient, i),
        lambda scene: known.at(scene, known.loss.gradient, i),
        lambda scene: known.noise(scene, i),
    )


def rescaled(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """A wrong formula that is also off by the batch, the classes, both, or its sign."""
    shape = known.source.value(evidence.inputs).shape
    rows, classes = int(np.prod(shape[:-1])), shape[-1]
    for factor in {rows, classes, rows * classes, 2} - {1}:
        for c in (factor, 1 / factor, -1):
            for wrong in known.loss.wrong:
                if is_right_here(evidence, known, wrong, i):
                    continue  # scaled, this is a factor of the right one and nothing else

                def gradient(z: Array, t: Array, wrong: Wrong = wrong, c: float = c) -> Array:
                    return c * wrong.gradient(z, t)

                score = score_of(evidence, known, i, gradient)
                if score > 0.5:
                    yield cause(wrong.slug, 0.97 * score, **wrong.fields)


def is_right_here(evidence: Evidence, known: Known, wrong: Wrong, i: int) -> bool:
    scene = scenes(evidence)[0]
    right, other = known.at(scene, known.loss.gradient, i), known.at(scene, wrong.gradient, i)
    if right is None or other is None:
        return True
    return bool(np.linalg.norm(other - right) <= 3 * known.noise(scene, i))


def unshifted(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """Not finite where exp overflows, and nowhere else."""
    analytic = evidence.analytic[i]
    if np.isfinite(analytic).all():
        return
    z = known.source.value(evidence.inputs)
    dtype = analytic.dtype if analytic.dtype.kind == "f" else np.dtype(np.float64)
    if abs(z).max(initial=0) > np.log(np.finfo(dtype).max):
        yield cause("max-shift-missing")


def clipped(evidence: Evidence, known: Known, i: int) -> Iterator[Cause]:
    """p − y with p clipped; the limit is read off the entries that are wrong."""
    taken = scenes(evidence)[0]
    if known.loss.takes != "any" or known.source.w is not None or taken.gradients[i] is None:
        for limit in CLIPS if known.loss.takes == "probabilities" else ():
            yield from limited(evidence, known, i, limit)
        return
    right = known.at(taken, known.loss.gradient, i)
    one = known.at(taken, lambda z, t: np.ones(z.shape), i)
    found = taken.gradients[i]
    if right is None or one is None or found.shape != right.shape or not one.all():
        return
    off = (wide(found) - right) / one
    wrong = abs(off) > 1e-9
    p = probabilities(known, known.source.value(taken.inputs))
    if p is None or not wrong.any():
        return
    q = (p + off)[wrong]
    limit = float(np.median(np.minimum(q, 1 - q)))
    if 0 < limit < 0.5 and abs(np.minimum(q, 1 - q) - limit).max() <= 1e-6 * limit + 1e-9:
        yield from limited(evidence, known, i, limit)


CLIPS = tuple(10.0**-k for k in range(1, 16))


def probabilities(known: Known, z: Array) -> Array | None:
    if known.loss.name.startswith("binary"):
        return np.asarray(0.5 * (1 + np.tanh(z / 2)))
    return softmax(z) if known.loss.wrong[0].slug == "one-hot-not-subtracted" else None


def limited(evidence: Evidence, known: Known, i: int, limit: float) -> Iterator[Cause]:
    """The gradient with probabilities kept away from 0 and 1."""

    def gradient(z: Array, t: Array) -> Array:
        p = z if known.loss.takes == "probabilities" else probabilities(known, z)
        assert p is not None
        kept = np.clip(p, limit, 1 - limit)
        return known.loss.gradient(kept, t) if p is z else kept - t

    def added(z: Array, t: Array) -> Array:
        return known.loss.gradient(z + limit, t)

    detail = f"at {limit:.3g}"
    yield cause("probability-clipped", score_of(evidence, known, i, gradient), detail=detail)
    if known.loss.takes == "probabilities":
        score = score_of(evidence, known, i, added)
        yield cause("probability-clipped", score, detail=f"{limit:.3g} is added")


# ---------------------------------------------------------------------- further


def decay(evidence: Evidence, i: int) -> Iterator[Cause]:
    """a − n is proportional to w, or to its signs: a decay is in one of loss and gradient."""
    x, known = evidence.inputs[i], evidence.measured(i)
    if evidence.analytic[i] is None or evidence.analytic[i].shape != known.shape:
        return
    if known.sum() < 3:
        return
    analytic, numeric = wide(evidence.analytic[i])[known], evidence.numeric[i][known]
    off = analytic - numeric
    for w, title in ((wide(x)[known], "w"), (np.sign(wide(x)[known]), "sign(w)")):
        size = float(w @ w)
        rate = float(off @ w) / size if size else 0.0
        if not rate or abs(off - rate * w).max() > 1e-4 * abs(off).max():
            continue
        if spans(w, analytic) or spans(w, numeric):
            continue  # a factor of the whole gradient, or a term that is missing in w·something
        sign = "missing in the gradient" if rate * 1 < 0 else "in the gradient, not in the loss"
        detail = f"{sign}: {abs(rate):.4g}·{title}"
        score = explained(analytic, numeric + rate * w, numeric, 1e-6 * evidence.scale(i))
        yield cause("weight-decay-mismatch", score, detail=detail)


def spans(w: Array, gradient: Array) -> bool:
    """Whether the gradient itself is a multiple of w."""
    rate = float(gradient @ w) / float(w @ w)
    return bool(abs(gradient - rate * w).max() <= 1e-3 * abs(gradient).max())


def huber(evidence: Evidence, i: int) -> Iterator[Cause]:
    """Right up to a limit of |z − y| or beyond it only: by where the gradient saturates."""
    known, x = evidence.measured(i), evidence.inputs[i]
    others = [wide(a) for k, a in enumerate(evidence.inputs) if k != i and np.shape(a) == x.shape]
    if evidence.analytic[i] is None or evidence.analytic[i].shape != x.shape or known.sum() < 4:
        return
    for t in others:
        bend = saturating((wide(x) - t)[known], evidence.numeric[i][known])
        if bend is None:
            continue
        (slope, limit), e = bend, wide(x) - t
        top = abs(slope) * limit
        there = f"|z − y| > {limit:.4g}, where the slope is constant"
        here = f"|z − y| < {limit:.4g}, where the slope is proportional to z − y"
        for gradient, region in (
            (slope * e, there),
            (top * np.sign(slope * e), here),
            (np.clip(slope * e, -abs(slope), abs(slope)), there),
            (np.where(abs(e) > limit, np.sign(slope * e), slope * e), there),
        ):
            score = evidence.explains(i, np.asarray(gradient))
            yield cause("region-wrong", min(1.0, 1.4 * score), region=region)


def saturating(e: Array, n: Array) -> tuple[float, float] | None:
    """The slope of n = slope·e, and the |e| from which on n stays as it is."""
    top = abs(n).max(initial=0)
    flat = abs(abs(n) - top) <= 1e-6 * top
    if not 1 < flat.sum() < n.size or not (e[~flat] @ e[~flat]):
        return None
    slope = float((n[~flat] @ e[~flat]) / (e[~flat] @ e[~flat]))
    is_straight = abs(n - slope * e)[~flat].max(initial=0) <= 1e-5 * top
    if not slope or not is_straight or abs(e[flat]).min() < abs(e[~flat]).max():
        return None
    return slope, float(top / abs(slope))


RECOGNISERS: tuple[Callable[..., Iterator[Cause]], ...] = (losses, decay, huber)
