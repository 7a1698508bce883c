"""One array that no mistake of the walk explains, given to the recognisers of single functions.

The step is a function of its own, with the gradient that it was given as cotangent.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.arrays import generator
from gradcheck.budget import limited
from gradcheck.diagnose import Evidence, diagnose
from gradcheck.guard import spared
from gradcheck.network.belief import Event
from gradcheck.network.mistakes import Scene
from gradcheck.network.replay import ActivationStep, LinearStep, Step
from gradcheck.subject import Subject
from gradcheck.verdict import Cause

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

BUDGET = 0.3
"""Seconds for the recognisers' experiments."""

BAR = 1e-9
"""Relative error of the replay's gradients, as the recognisers are told."""


def local_causes(event: Event, scene: Scene, setting: "Setting") -> tuple[Cause, ...]:
    """What the recognisers say of the array, as that of its step alone."""
    place, _, part = event.place.rpartition(".")
    step = next((s for s in scene.replay.steps if s.place == place), None)
    if step is None or event.delta is None or event.observed is None:
        return ()
    names, inputs, forward = function_of(step)
    letter = "x" if part in ("dx", "derivative") else part[1:]
    if letter not in names or event.delta.shape != step.y.shape:
        return ()
    position = names.index(letter)
    right = [step.backward(event.delta), *parameter_gradients(step, names[1:], event.delta)]
    analytic: list[Any] = [None] * len(names)
    analytic[position] = np.asarray(event.observed, np.float64) / event.scale
    if letter == "x":
        analytic[position] = np.asarray(event.observed, np.float64)

    def backward(dy: Array, *given: Array) -> tuple[Any, ...]:
        return tuple(analytic)

    evidence = Evidence(
        Subject(forward, backward, names),
        tuple(names),
        inputs,
        [event.delta],
        [step.y],
        analytic,
        list(right),
        [np.full(np.shape(r), BAR * float(abs(r).max(initial=0))) for r in right],
        [i == position for i in range(len(names))],
        generator(setting.seed),
        is_fixed=True,
    )
    with limited(BUDGET):
        return tuple(spared(lambda: diagnose(evidence, position)))


def parameter_gradients(step: Step, names: list[str], delta: Array) -> list[Array]:
    if isinstance(step, ActivationStep):
        return []
    return [step.gradient(name, delta) for name in names]


def function_of(step: Step) -> tuple[list[str], list[Array], Callable[..., Array]]:
    """The step as a function of its input and parameters."""
    if isinstance(step, ActivationStep):
        return ["x"], [step.x], step.phi.value
    if isinstance(step, LinearStep):
        return ["x", "W", "b"], [step.x, step.W, step.b], lambda x, W, b: x @ W + b
    eps = float((1 / step.rstd**2 - step.var).mean())

    def batchnorm(x: Array, gamma: Array, beta: Array) -> Array:
        return np.asarray(gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta)

    return ["x", "gamma", "beta"], [step.x, step.gamma, step.beta], batchnorm
