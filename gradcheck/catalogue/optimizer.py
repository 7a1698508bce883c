"""Steps of optimisers, for `check_update`: each is right but for one thing.

A step is step(w, g, state), with the state of one array in a dictionary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.catalogue.case import Bug, Function, Generator, Right
from gradcheck.update import check_update
from gradcheck.verdict import Report

FAMILY = "optimisers"

RATE, MOMENTUM, DECAY = 0.05, 0.9, 0.1
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Step:
    """For `check_update`."""

    step: Function
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)

    def report(self, seed: int) -> Report:
        return check_update(self.step, self.kind, seed, **self.settings)


def descent(w: Any, g: Any) -> Any:
    return w - RATE * g


def momentum(w: Any, g: Any, state: Any) -> Any:
    """V ← μ·v − lr·g, w ← w + v"""
    state["v"] = MOMENTUM * state.get("v", 0.0) - RATE * g
    return w + state["v"]


def decayed(w: Any, g: Any, state: Any) -> Any:
    return momentum(w, g + DECAY * w, state)


def nesterov(w: Any, g: Any, state: Any) -> Any:
    momentum(w, g, state)
    return w + MOMENTUM * state["v"] - RATE * g


def adam_step(
    w: Any,
    g: Any,
    state: Any,
    corrects: tuple[bool, bool] = (True, True),
    first: int = 1,
    is_inside: bool = False,
    power: int = 2,
    takes_root: bool = True,
) -> Any:
    state["t"] = t = state.get("t", first - 1) + 1
    state["m"] = m = BETA1 * state.get("m", 0.0) + (1 - BETA1) * g
    state["v"] = v = BETA2 * state.get("v", 0.0) + (1 - BETA2) * abs(g) ** power
    with np.errstate(all="ignore"):
        m = m / (1 - np.float64(BETA1) ** t) if corrects[0] else m
        v = v / (1 - np.float64(BETA2) ** t) if corrects[1] else v
        below = np.sqrt(v + EPS) if is_inside else (np.sqrt(v) if takes_root else v) + EPS
        return w - RATE * m / below


def adam(w: Any, g: Any, state: Any) -> Any:
    return adam_step(w, g, state)


def adamw(w: Any, g: Any, state: Any) -> Any:
    return adam(w, g, state) - RATE * DECAY * w


def rmsprop(w: Any, g: Any, state: Any) -> Any:
    state["v"] = BETA1 * state.get("v", 0.0) + (1 - BETA1) * g * g
    return w - RATE * g / (np.sqrt(state["v"]) + EPS)


# ---------------------------------------------------------------- with one thing wrong


def velocity_not_kept(w: Any, g: Any, state: Any) -> Any:
    return w - RATE * g


def wrong_sign_of_velocity(w: Any, g: Any, state: Any) -> Any:
    state["v"] = MOMENTUM * state.get("v", 0.0) + RATE * g
    return w + state["v"]


def velocity_subtracted(w: Any, g: Any, state: Any) -> Any:
    state["v"] = MOMENTUM * state.get("v", 0.0) - RATE * g
    return w - state["v"]


def rate_inside_twice(w: Any, g: Any, state: Any) -> Any:
    state["v"] = MOMENTUM * state.get("v", 0.0) - RATE * g
    return w + RATE * state["v"]


def dampened(w: Any, g: Any, state: Any) -> Any:
    state["v"] = MOMENTUM * state.get("v", 0.0) - (1 - MOMENTUM) * RATE * g
    return w + state["v"]


def momentum_complement(w: Any, g: Any, state: Any) -> Any:
    state["v"] = (1 - MOMENTUM) * state.get("v", 0.0) - RATE * g
    return w + state["v"]


def old_velocity(w: Any, g: Any, state: Any) -> Any:
    before = state.get("v", 0.0)
    state["v"] = MOMENTUM * before - RATE * g
    return w + before


def gradients_added_up(w: Any, g: Any, state: Any) -> Any:
    state["g"] = state.get("g", 0.0) + g
    return w - RATE * state["g"]


def old_gradient(w: Any, g: Any, state: Any) -> Any:
    before = state.get("g", 0.0)
    state["g"] = g
    return w - RATE * before


def rmsprop_without_root(w: Any, g: Any, state: Any) -> Any:
    state["v"] = BETA1 * state.get("v", 0.0) + (1 - BETA1) * g * g
    return w - RATE * g / (state["v"] + EPS)


SGD = ("gradient_descent", {"lr": RATE})
HEAVY = ("momentum", {"lr": RATE, "momentum": MOMENTUM})
NESTEROV = ("nesterov", HEAVY[1])
DECAYED = ("momentum", HEAVY[1] | {"weight_decay": DECAY})
ADAM = ("adam", {"lr": RATE, "beta1": BETA1, "beta2": BETA2, "eps": EPS})
ADAMW = ("adamw", ADAM[1] | {"weight_decay": DECAY})
RMSPROP = ("rmsprop", {"lr": RATE, "beta2": BETA1, "eps": EPS})

STEP, VELOCITY = ("update-formula-mismatch",), ("momentum-mismatch",)
CORRECTION = ("bias-correction-missing", *STEP)
WEIGHTS = ("weight-decay-mismatch",)
MISTAKES: tuple[tuple[str, tuple[str, ...], Any, Function], ...] = (
    ("ascent", (*STEP, "sign-flipped"), SGD, lambda w, g: w + RATE * g),
    ("the rate forgotten", STEP, SGD, lambda w, g: w - g),
    ("the rate squared", STEP, SGD, lambda w, g: w - RATE**2 * g),
    ("gradients are never cleared", (*STEP, "not-zeroed", "accumulates-into-stale-buffer"), SGD,
     gradients_added_up),
    ("the gradient of the step before", (*STEP, "stale-cache"), SGD, old_gradient),
    ("the sign of the gradient", STEP, SGD, lambda w, g: w - RATE * np.sign(g)),
    ("the velocity is not kept", VELOCITY, HEAVY, velocity_not_kept),
    ("the velocity of the wrong sign", (*VELOCITY, *STEP), HEAVY, wrong_sign_of_velocity),
    ("the velocity is subtracted", (*VELOCITY, *STEP), HEAVY, velocity_subtracted),
    ("the rate inside and outside of the velocity", (*VELOCITY, *STEP), HEAVY, rate_inside_twice),
    ("dampened", VELOCITY, HEAVY, dampened),
    ("1 − μ for μ", VELOCITY, HEAVY, momentum_complement),
    ("the velocity before the update", VELOCITY, HEAVY, old_velocity),
    ("Nesterov's for plain momentum", VELOCITY, HEAVY, nesterov),
    ("plain momentum for Nesterov's", VELOCITY, NESTEROV, momentum),
    ("the decay missing", WEIGHTS, DECAYED, momentum),
    ("the decay twice", WEIGHTS, DECAYED, lambda w, g, s: momentum(w, g + 2 * DECAY * w, s)),
    ("the decay of the wrong sign", WEIGHTS, DECAYED,
     lambda w, g, s: momentum(w, g - DECAY * w, s)),
    ("the decay decoupled", WEIGHTS, DECAYED,
     lambda w, g, s: momentum(w, g, s) - RATE * DECAY * w),
    ("AdamW's decay in the gradient", WEIGHTS, ADAMW,
     lambda w, g, s: adam(w, g + DECAY * w, s)),
    ("AdamW without its decay", WEIGHTS, ADAMW, adam),
    ("Adam without bias correction", CORRECTION, ADAM,
     lambda w, g, s: adam_step(w, g, s, corrects=(False, False))),
    ("Adam, the second moment uncorrected", CORRECTION, ADAM,
     lambda w, g, s: adam_step(w, g, s, corrects=(True, False))),
    ("Adam counts from zero", STEP, ADAM, lambda w, g, s: adam_step(w, g, s, first=0)),
    ("Adam counts from two", STEP, ADAM, lambda w, g, s: adam_step(w, g, s, first=2)),
    ("Adam with eps inside the root", STEP, ADAM,
     lambda w, g, s: adam_step(w, g, s, is_inside=True)),
    ("Adam without the square", STEP, ADAM, lambda w, g, s: adam_step(w, g, s, power=1)),
    ("Adam without the root", STEP, ADAM, lambda w, g, s: adam_step(w, g, s, takes_root=False)),
    ("RMSProp without the root", STEP, RMSPROP, rmsprop_without_root),
)  # fmt: skip

CORRECT: tuple[tuple[str, Any, Function], ...] = (
    ("gradient descent", SGD, descent),
    ("momentum", HEAVY, momentum),
    ("momentum with decay", DECAYED, decayed),
    ("Nesterov's momentum", NESTEROV, nesterov),
    ("Adam", ADAM, adam),
    ("AdamW", ADAMW, adamw),
    ("RMSProp", RMSPROP, rmsprop),
)


def step(function: Function, how: Any) -> Any:
    def make(rng: Generator) -> Step:
        return Step(function, how[0], how[1])

    return make


def bugs() -> Iterator[Bug]:
    for name, slugs, how, function in MISTAKES:
        yield Bug(name, FAMILY, step(function, how), slugs)


def rights() -> Iterator[Right]:
    for name, how, function in CORRECT:
        yield Right(name, FAMILY, step(function, how))
