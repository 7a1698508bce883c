"""Driving an optimiser's step, a function's or an object's, with gradients drawn at random."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck import parameters as finding
from gradcheck.budget import check_time
from gradcheck.formulas import Rule
from gradcheck.parameters import Parameter
from gradcheck.rule import SETTINGS, WHERE
from gradcheck.state import Snapshot
from gradcheck.subject import FAULTS, Raised

Array = np.ndarray

SHAPES = ((3, 4), (1, 4))
"""Of the parameters that a function is tried on: a matrix and a bias."""

SMALLEST, LARGEST = -5.0, 1.0
"""Powers of ten between which gradients lie: where they are small, eps shows."""

SLOWER = 0.5
"""Times the learning rate from the third step on, where it can be set: that tells a velocity
that has the rate inside from one that has not."""


@dataclass
class History:
    """One parameter and its gradient at every step; `values` has one more."""

    name: str
    values: list[Array]
    gradients: list[Array]
    is_bias: bool = False

    @property
    def is_norm(self) -> bool:
        return self.name.rpartition(".")[2] in ("gamma", "beta")


def draw(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Gradients of both signs and of many sizes."""
    size = 10 ** rng.uniform(SMALLEST, LARGEST, shape)
    return np.asarray(size * rng.choice([-1.0, 1.0], shape))


def drive_function(
    step: Callable[..., Any],
    rng: np.random.Generator,
    steps: int,
    shapes: Sequence[tuple[int, ...]],
    state: Callable[[], Any] | None,
) -> list[History]:
    count = required_arguments(step)
    histories = [
        History(f"w{k}", [rng.standard_normal(shape)], [], is_bias(shape))
        for k, shape in enumerate(shapes)
    ]
    states = [state() if state else {} for _ in shapes]
    for _ in range(steps):
        for k, history in enumerate(histories):
            gradient = draw(history.values[0].shape, rng)
            w = history.values[-1].copy()
            rest = (states[k],) if count > 2 or state else ()
            found = stepped(step, w, gradient.copy(), *rest)
            if isinstance(found, tuple) and found:
                found, states[k] = found[0], found[1] if len(found) == 2 else found[1:]
            history.gradients.append(gradient)
            history.values.append(updated(w if found is None else found, w.shape))
    return histories


class NoParameterError(TypeError):
    """What a step gave cannot be the parameter."""


def stepped(step: Callable[..., Any], *given: Any) -> Any:
    """What one step returns; `Raised` for whatever it raises."""
    check_time()
    try:
        return step(*given)
    except FAULTS as error:
        raise Raised("the step", error) from error


def updated(value: Any, shape: tuple[int, ...]) -> Array:
    """What a step gave, if it can be a parameter: real numbers in the parameter's shape."""
    try:
        array = np.array(value)
    except ValueError:  # rows of unequal length
        array = np.array(None)
    if array.dtype.kind not in "fiu" or array.shape != shape:
        given = f"shape {array.shape}" if array.dtype.kind in "fiu" else repr(value)[:60]
        raise NoParameterError(f"the step gives {given}, expected a parameter of shape {shape}")
    return array


def required_arguments(step: Callable[..., Any]) -> int:
    try:
        arguments = inspect.signature(step).parameters.values()
    except (TypeError, ValueError):
        return 2
    return sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in arguments
    )


def is_bias(shape: tuple[int, ...]) -> bool:
    return len(shape) < 2 or (len(shape) == 2 and shape[0] == 1)


def drive_object(
    target: Any,
    rule: Rule,
    steps: int,
    rng: np.random.Generator,
    names: dict[str, str] | None,
) -> tuple[list[History], list[float]]:
    """Random gradients into the object's arrays, then its step, again and again."""
    kept = Snapshot(target)
    found = finding.named(target, names) if names else parameters_of(target)
    if not found:
        raise ValueError(f"{WHERE}: no parameter arrays with gradients were found")
    try:
        histories = [begin(p, rng) for p in found]
        rates = []
        for k in range(steps):
            rates.append(rule.lr * (SLOWER if k >= 2 and slow_down(target, rule) else 1.0))
            for parameter, history in zip(found, histories, strict=True):
                gradient = draw(history.values[0].shape, rng)
                held = np.asarray(gradient, history.values[0].dtype)
                parameter.gradient.put(held)
                history.gradients.append(held.astype(np.float64))
            stepped(getattr(target, "step", None) or target.update)
            for parameter, history in zip(found, histories, strict=True):
                history.values.append(updated(parameter.value.get(), history.values[0].shape))
        return histories, rates
    finally:
        kept.restore()


def begin(parameter: Parameter, rng: np.random.Generator) -> History:
    """A parameter that is not zero, so that a decay shows."""
    before = np.asarray(parameter.value.get())
    dtype = before.dtype if before.dtype.kind == "f" else np.dtype(np.float64)
    parameter.value.put(rng.standard_normal(before.shape).astype(dtype))
    value = np.array(parameter.value.get())
    return History(parameter.name, [value], [], is_bias(value.shape))


def slow_down(target: Any, rule: Rule) -> bool:
    """Sets a smaller learning rate; whether the object takes one."""
    for name in SETTINGS["lr"]:
        if isinstance(getattr(target, name, None), (float, np.floating)):
            try:
                setattr(target, name, rule.lr * SLOWER)
            except (AttributeError, TypeError, ValueError):
                return False
            return True
    return False


def parameters_of(target: Any) -> list[Parameter]:
    """Those of a network's layers, or of the object itself."""
    found: list[Parameter] = []
    for group in ("linear_layers", "bn_layers", "layers"):
        layers = getattr(target, group, None)
        for k, layer in enumerate(layers if isinstance(layers, (list, tuple)) else ()):
            found += [
                replace(p, name=f"{group}[{k}].{p.name}")
                for p in finding.found(layer, finding.present(layer))
            ]
    return found or finding.found(target, finding.present(target))
