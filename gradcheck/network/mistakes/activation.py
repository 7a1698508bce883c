"""Mistakes in the derivative of an activation."""

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.activations import ACTIVATIONS, Activation
from gradcheck.network.mistakes.scene import Guess, Scene, mistake
from gradcheck.network.replay import ActivationStep

Array = np.ndarray


def activation_paths(step: ActivationStep, delta: Array, scene: Scene) -> Iterator[Guess]:
    """Gradients that a wrong derivative passes on."""
    place = f"{step.place}.derivative"
    yield Guess(mistake("activation-derivative-missing", place), delta)
    yield from of_others(step, delta, scene)
    for slug, fields, factor in factors(step):
        yield Guess(mistake(slug, place, **fields), delta * factor)
    yield Guess(mistake("cotangent-masked", place), delta * (delta > 0))
    for unit in scene.units():
        fields = {"taken": "φ of the gradient", "formula": step.phi.formula}
        taken = mistake("activation-derivative-formula", place, **fields)
        value = step.phi.value(delta * unit) / unit
        yield Guess(taken, value)
        yield Guess(taken, value * step.slope)


def factors(step: ActivationStep) -> Iterator[tuple[str, Mapping[str, object], Array]]:
    """Wrong derivatives, from the likeliest on."""
    phi, z, y = step.phi, step.x, step.y
    with np.errstate(all="ignore"):
        if phi.usual is not None and phi.of == "z":
            yield "activation-derivative-at-output", {}, phi.usual(y)
        if phi.usual is not None and phi.of == "y":
            yield "activation-derivative-at-input", {"formula": phi.formula}, phi.usual(z)
            yield "activation-derivative-at-output", {}, phi.derivative(y, phi.value(y))
        for other in ACTIVATIONS.values():
            is_same = phi.name == "sigmoid" and other.name == "softplus"  # its derivative is y
            if other.name not in (phi.name, "identity") and not is_same:
                fields = {"other": other.name, "name": phi.name}
                yield "wrong-activation-derivative", fields, other.derivative(z, other.value(z))
                if other.usual is not None and other.of == "y":
                    yield "wrong-activation-derivative", fields, other.usual(y)
        for taken, value in formulas(z, y):
            fields = {"taken": taken, "formula": phi.formula}
            yield "activation-derivative-formula", fields, value
        yield "activation-derivative-twice", {}, step.slope**2
        for taken, where in (("z > 0", z > 0), ("z < 0", z < 0)):
            fields = {"taken": f"φ'(z) where {taken}, else 0", "formula": phi.formula}
            yield "activation-derivative-formula", fields, np.where(where, step.slope, 0.0)
        fields = {"taken": "1/φ'", "formula": phi.formula}
        yield "activation-derivative-formula", fields, 1 / step.slope


def formulas(z: Array, y: Array) -> Iterator[tuple[str, Array]]:
    sample_on = np.broadcast_to((z > 0).any(axis=1, keepdims=True) * 1.0, z.shape)
    root = np.sqrt(np.maximum(1 - y * y, 0))
    yield from (
        ("y, the activation itself", y),
        ("1 − y", 1 - y),
        ("1 + y", 1 + y),
        ("1 + y²", 1 + y * y),
        ("y²", y * y),
        ("1 − y²", 1 - y * y),
        ("y·(1 − y)", y * (1 - y)),
        ("z·(1 − z)", z * (1 - z)),
        ("y·(1 + y)", y * (1 + y)),
        ("(1 − y)²", (1 - y) ** 2),
        ("y²·(1 − y)", y * y * (1 - y)),
        ("y·(y − 1)", y * (y - 1)),
        ("y² − 1", y * y - 1),
        ("1 − z²", 1 - z * z),
        ("1/cosh z", 1 / np.cosh(z)),
        ("(1 − y²)/2", (1 - y * y) / 2),
        ("1 − tanh(y)²", 1 - np.tanh(y) ** 2),
        ("z < 0", (z < 0) * 1.0),
        ("z > 1", (z > 1) * 1.0),
        ("z > 0.5", (z > 0.5) * 1.0),
        ("sign(z)", np.sign(z)),
        ("z", z),
        ("2y", 2 * y),
        ("y > mean(y)", (y > y.mean()) * 1.0),
        ("all of a sample: any z > 0", sample_on),
        ("1 − 2y", 1 - 2 * y),
        ("−2y", -2 * y),
        ("exp(−z)", np.exp(-z)),
        ("√(1 − y²)", root),
        ("1 where z > 0, else y", np.where(z > 0, 1.0, y)),
        ("1 where z > 0, else z", np.where(z > 0, 1.0, z)),
        ("1 where z > 0, else y + 1", np.where(z > 0, 1.0, y + 1)),
        ("1 where z > 0, else exp(y)", np.where(z > 0, 1.0, np.exp(np.minimum(y, 0)))),
    )


def of_others(step: ActivationStep, delta: Array, scene: Scene) -> Iterator[Guess]:
    """The right formula with the values of another layer or of another batch."""
    place, phi = f"{step.place}.derivative", step.phi
    for early in scene.earlier_steps(step.place):
        if early.y.shape != step.y.shape:
            continue
        detail = "its output of the batch before"
        yield Guess(mistake("stale-cache", place, detail=detail), delta * early.slope)
    for other in scene.replay.steps:
        if other is step or other.y.shape != delta.shape:
            continue
        with np.errstate(all="ignore"):
            values = [(f"the output of {other.place}", slope_at(phi, other.y))]
            if isinstance(other, ActivationStep):
                if phi.usual is None:
                    values.append((f"the input of {other.place}", slope_at(phi, other.x)))
                values.append((f"the derivative of {other.place}", other.slope))
        for detail, factor in values:
            yield Guess(mistake("other-layers-values", place, detail=detail), delta * factor)


def slope_at(phi: Activation, value: Array) -> Array:
    """φ' at the value, by the usual formula, which takes z or y, or at z = value."""
    return phi.derivative(value, phi.value(value)) if phi.usual is None else phi.usual(value)
