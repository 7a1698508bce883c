"""One array that no mistake of the walk explains, given to the recognisers of single functions.

The step is a function of its own, with the gradient that it was given as cotangent.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.arrays import generator
from gradcheck.diagnose import Evidence, diagnose
from gradcheck.network.mistakes import Scene
from gradcheck.network.replay import Step
from gradcheck.network.walk import Event
from gradcheck.subject import Subject
from gradcheck.verdict import Cause

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

BUDGET = 1.0


def local_causes(told: Event, scene: Scene, setting: "Setting") -> tuple[Cause, ...]:
    """What the recognisers say of the array, as that of its step alone."""
    name = told.name
    place, _, letter = name.rpartition(".")
    step = next((s for s in scene.replay.steps if s.place == place), None)
    if step is None or told.delta is None:
        return ()
    names, inputs, forward = function_of(step)
    right = [step.backward(told.delta), *(step.gradient(n, told.delta) for n in names[1:])]  # type: ignore[union-attr]
    analytic: list[Any] = [None] * len(names)
    position = names.index(letter)
    observed = np.asarray(setting.trial.gradients[name], np.float64) / told.scale
    analytic[position] = observed
    numeric: list[Any] = list(right)
    bars = [np.full(np.shape(r), 1e-9 * float(abs(r).max(initial=0))) for r in right]

    def backward(dy: Array, *given: Array) -> tuple[Any, ...]:
        return tuple(analytic)

    evidence = Evidence(
        Subject(forward, backward, names, BUDGET),
        tuple(names),
        inputs,
        [told.delta],
        [step.y],
        analytic,
        numeric,
        bars,
        [i == position for i in range(len(names))],
        generator(setting.seed),
        is_fixed=True,
    )
    try:
        return diagnose(evidence, position)
    except Exception:  # a recogniser that meets a step that it was not made for
        return ()


def function_of(step: Step) -> tuple[list[str], list[Array], Callable[..., Array]]:
    """The step as a function of its input and parameters."""
    if step.kind == "linear":
        return ["x", "W", "b"], [step.x, step.W, step.b], lambda x, W, b: x @ W + b  # type: ignore[union-attr]
    eps = float((1 / step.rstd**2 - step.var).mean())  # type: ignore[union-attr]

    def batchnorm(x: Array, gamma: Array, beta: Array) -> Array:
        return np.asarray(gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta)

    return ["x", "gamma", "beta"], [step.x, step.gamma, step.beta], batchnorm  # type: ignore[union-attr]
