"""Mistakes in the backward of y = x·W + b."""

from collections.abc import Iterator

import numpy as np

from gradcheck.network.mistakes.scene import Guess, Scene, mistake
from gradcheck.network.replay import LinearStep

Array = np.ndarray

SAMPLES = (
    ("only the first sample is taken", slice(0, 1)),
    ("only the last sample is taken", slice(-1, None)),
    ("the last sample is left out", slice(None, -1)),
    ("the first sample is left out", slice(1, None)),
)


def linear_paths(step: LinearStep, delta: Array, scene: Scene) -> Iterator[Guess]:
    """dx = δ·Wᵀ, done wrong."""
    place, W = f"{step.place}.dx", step.W
    if W.shape[0] == W.shape[1]:
        detail = "δ·W, where δ·Wᵀ is meant"
        yield Guess(mistake("wrong-weights", place, detail=detail), delta @ W)
        detail = "δ is passed on without Wᵀ"
        yield Guess(mistake("wrong-weights", place, detail=detail), delta)
    for other in scene.replay.steps:
        if isinstance(other, LinearStep) and other is not step:
            for weights in (other.W.T, other.W):
                if weights.shape == W.T.shape:
                    detail = f"those of {other.place}"
                    yield Guess(mistake("wrong-weights", place, detail=detail), delta @ weights)
    yield from changed_weights(step, delta, scene)
    for detail, weights in (("|W|", abs(W)), ("W²", W * W), ("sign(W)", np.sign(W))):
        yield Guess(mistake("wrong-weights", place, detail=detail), delta @ weights.T)
    for early in scene.earlier_steps(step.place):
        if np.array_equal(early.W, W):
            continue
        detail = "weights of an earlier forward, kept"
        yield Guess(mistake("stale-cache", place, detail=detail), delta @ early.W.T)
    detail = "+ b is added to the gradient"
    for unit in scene.units() if step.b.size == delta.shape[1] else ():
        added = (delta + step.b / unit) @ W.T
        yield Guess(mistake("wrong-weights", place, detail=detail), added)


def changed_weights(step: LinearStep, delta: Array, scene: Scene) -> Iterator[Guess]:
    """The weights after a step, or those of an earlier forward."""
    place, W, name = f"{step.place}.dx", step.W, f"{step.place}.W"
    if name in scene.changed:
        detail = "W after the update: backward first, then step"
        yield Guess(mistake("wrong-weights", place, detail=detail), delta @ scene.changed[name].T)
    dW = scene.observed.get(name)
    if dW is None or dW.shape != W.shape:
        return
    for rate in {scene.rate, 1.0} - {0.0}:
        detail = "W after the update: backward first, then step"
        yield Guess(mistake("wrong-weights", place, detail=detail), delta @ (W - rate * dW).T)
    detail = "dW, the gradient, in place of W"
    yield Guess(mistake("wrong-weights", place, detail=detail), delta @ dW.T)


def linear_arrays(step: LinearStep, letter: str, delta: Array, scene: Scene) -> Iterator[Guess]:
    """Wrong dW and db."""
    if letter == "b":
        yield from bias_arrays(step, delta)
        return
    place, right = f"{step.place}.dW", step.x.T @ delta
    yield Guess(mistake("transposed", place, name="W"), right.T)
    for early in scene.earlier_steps(step.place):
        if early.x.shape != step.x.shape:
            continue
        detail = "its input of the batch before"
        yield Guess(mistake("stale-cache", place, detail=detail), early.x.T @ delta)
    for detail, few in SAMPLES:
        one = mistake("samples-missing", place, detail=detail)
        yield Guess(one, step.x[few].T @ delta[few])
    shape = step.x.shape
    inputs = [("the network's input", scene.replay.x)]
    for other in scene.replay.steps:
        inputs.append((f"the output of {other.place}", other.y))
    for detail, value in inputs:
        if value.shape == shape:
            detail = f"x is {detail}"
            yield Guess(mistake("other-layers-values", place, detail=detail), value.T @ delta)
    detail = "x is normalised or thresholded first"
    for value in ((step.x > 0) * 1.0, abs(step.x), step.x * step.x):
        yield Guess(mistake("other-layers-values", place, detail=detail), value.T @ delta)


def bias_arrays(step: LinearStep, delta: Array) -> Iterator[Guess]:
    place, shape = f"{step.place}.db", step.b.shape
    if not step.has_bias:
        yield Guess(mistake("bias-left-out", place), delta.sum(axis=0).reshape(shape))
    kept = mistake("bias-not-summed", place, name="b", detail="each sample is kept apart")
    yield Guess(kept, delta)
    one = mistake("bias-not-summed", place, name="b", detail="only one sample is taken")
    for row in (delta[:1], delta[-1:]):
        yield Guess(one, row.reshape(shape))
    for detail, few in SAMPLES[2:]:
        rest = delta[few].sum(axis=0).reshape(shape)
        yield Guess(mistake("samples-missing", place, detail=detail), rest)
    wrong = mistake("bias-wrong-axis", place, name="b", detail="the features")
    yield Guess(wrong, delta.sum(axis=1))
    yield Guess(wrong, delta.sum(axis=1, keepdims=True))
    if len(delta) == step.b.size:
        yield Guess(wrong, delta.sum(axis=1).reshape(shape))
    yield Guess(wrong, np.full(shape, delta.sum()))
    yield Guess(wrong, np.asarray(delta.sum()))
    means = mistake("bias-wrong-axis", place, name="b", detail="the features")
    yield Guess(means, np.full(shape, delta.sum() / step.b.size))
    yield Guess(mistake("bias-not-summed", place, name="b", detail="the largest is taken"),
                delta.max(axis=0).reshape(shape))  # fmt: skip
