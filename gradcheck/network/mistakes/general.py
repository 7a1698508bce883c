"""Mistakes that any step may have: signs and scales, what is left over, what stops."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from gradcheck.network.mistakes.scene import Guess, Scene, mistake
from gradcheck.network.replay import Step

Array = np.ndarray

LIMITS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


def path_mistakes(place: str, right: Array, scene: Scene) -> Iterator[Guess]:
    """The gradient that is passed on, spoilt in a way that needs no knowledge of the step."""
    yield Guess(mistake("sign-flipped", place, formula="dx"), -right)
    yield Guess(mistake("gradient-stops", place, where=place), np.zeros_like(right))
    if scene.count > 1:
        n = scene.count
        yield Guess(mistake("divided-by-batch-twice", place, n=n), right / n)
        yield Guess(mistake("scaled-by-batch", place, factor=n, n=n), right * n)
    for factor in (2.0, 0.5, right.shape[1], 1 / right.shape[1]):
        yield Guess(mistake("scaled-by-constant", place, factor=factor, detail=""), right * factor)
    yield from masked_or_clipped(place, right, scene)
    yield from of_other_lengths(place, right, scene)
    mean = np.broadcast_to(right.mean(axis=0), right.shape)
    yield Guess(mistake("samples-missing", place, detail="the mean of all samples"), mean)


def of_other_lengths(place: str, right: Array, scene: Scene) -> Iterator[Guess]:
    """Only the sign is passed on, or a gradient that is brought to length one."""
    with np.errstate(all="ignore"):
        each = right / np.linalg.norm(right, axis=1, keepdims=True)
        whole = right / np.linalg.norm(right)
    for unit in scene.units():
        signs = mistake("cotangent-nonlinear", place, detail="only its sign is passed on")
        yield Guess(signs, np.sign(right) / unit)
        for detail, value in (("each row is", each), ("it is", whole)):
            one = mistake("gradient-normalised", place, detail=f"{detail} scaled to length one")
            yield Guess(one, value / unit)


def masked_or_clipped(place: str, right: Array, scene: Scene) -> Iterator[Guess]:
    yield Guess(mistake("cotangent-masked", place), right * (right > 0))
    yield Guess(mistake("cotangent-masked", place), abs(right))
    for unit in scene.units():
        for limit in LIMITS:
            if abs(right).max(initial=0) * unit > limit:
                clipped = np.clip(right * unit, -limit, limit) / unit
                fields = {"what": "entries of δ", "how": "clipped", "limit": limit}
                yield Guess(mistake("cotangent-clipped", place, **fields), clipped)


def array_mistakes(
    step: Step, letter: str, right: Array, scene: Scene, others: dict[str, Array]
) -> Iterator[Guess]:
    """A gradient that is kept, spoilt in a way that needs no knowledge of the step."""
    name, place = f"{step.place}.{letter}", f"{step.place}.d{letter}"
    yield Guess(mistake("sign-flipped", place, formula="d" + letter), -right)
    if name in scene.earlier and scene.earlier[name].shape == right.shape:
        early = np.asarray(scene.earlier[name], np.float64)
        for unit in scene.units():
            total = mistake("accumulates-into-stale-buffer", place, detail="the sum of both")
            yield Guess(total, right + early / unit)
        if early.any():  # zeros are no gradient of any batch
            detail = "the gradient of the batch before"
            yield Guess(mistake("stale-cache", place, detail=detail), early)
    yield from decay(step, letter, right, scene)
    for buffer, value in scene.buffers.get(name, {}).items():
        if value.shape == right.shape and value.any():
            detail = f"this is what {buffer} holds"
            yield Guess(mistake("momentum-mismatch", place, detail=detail), value)
    for other, value in others.items():
        if other != name and value.size == right.size:
            yield Guess(
                mistake("swapped-gradients", place, other=other), value.reshape(right.shape)
            )
    yield from spoilt_array(place, right, scene)


def spoilt_array(place: str, right: Array, scene: Scene) -> Iterator[Guess]:
    yield Guess(mistake("gradient-stops", place, where=place), np.zeros_like(right))
    yield from masked_or_clipped(place, right, scene)
    norm = float(np.linalg.norm(right))
    if norm > 0:
        detail = "it is scaled to length one"
        for unit in scene.units():
            yield Guess(mistake("gradient-normalised", place, detail=detail), right / norm / unit)


def decay(step: Step, letter: str, right: Array, scene: Scene) -> Iterator[Guess]:
    """g + λ·w, for whatever λ fits."""
    weights = np.asarray(getattr(step, letter), np.float64)
    observed = scene.observed.get(f"{step.place}.{letter}")
    if observed is None or observed.shape != right.shape or not np.isfinite(observed).all():
        return
    decays = ((letter, weights), (f"sign({letter})", np.sign(weights)))
    for unit, (told, values) in product(scene.units(), decays):
        rest = observed / unit - right
        norm = float((values * values).sum())
        if norm > 0:
            rate = float((rest * values).sum()) / norm
            detail = f"added to the gradient: + {rate * unit:.6g}·{told}, which is not in the loss"
            found = right + rate * values
            yield Guess(
                mistake("weight-decay-mismatch", f"{step.place}.d{letter}", detail=detail), found
            )
