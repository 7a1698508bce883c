"""A network that is right at one place may be wrong at another: other parameters, other inputs.

The replay knows the right gradients there, too, so each further place costs one pass.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.course import parameters, told
from gradcheck.diagnose.causes import cause
from gradcheck.network.drive import gradients_of, output_at, preserved
from gradcheck.network.explain import explain
from gradcheck.network.listen import listening
from gradcheck.network.losses import Loss
from gradcheck.network.replay import REPRODUCED, Replay, replay
from gradcheck.subject import Raised
from gradcheck.verdict import FAIL, PASS, Finding

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

MOVED = 0.25
"""Parameters are moved by so much of their size."""

CLOSE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-2}
"""Relative to the largest entry. Between, nothing is said."""

ROUNDING = 1e3
"""Units in the last place, of the largest gradient: one that should be zero is not quite."""


@dataclass(frozen=True)
class Point:
    title: str
    x: Array
    labels: Array
    moved: float = 0.0


def points(x: Array, labels: Array) -> list[Point]:
    found = [Point("with other parameters", x, labels, MOVED)]
    if x.dtype.kind == "f":
        found.append(Point("for larger inputs", (3 * x).astype(x.dtype), labels))
        if len(x) > 3:
            found.append(Point("for a smaller batch", x[:-1].copy(), labels[:-1].copy()))
    return found


def look_elsewhere(
    setting: "Setting",
    findings: list[Finding],
    base: Replay,
    weights: Array,
    rng: np.random.Generator,
) -> tuple[list[Finding], list[str]]:
    """The findings, with those that fail at another place, and a note of the first of these."""
    for point in points(setting.trial.x, setting.trial.labels):
        with preserved(setting.net):
            try:
                wrong = wrong_there(setting, base, weights, point, rng)
            except Raised as raised:
                message = told(raised.error)
                found = cause("raised", call="the network", error=message)
                failed = Finding("network", FAIL, note=message, causes=(found,))
                return [*findings, failed], [f"right here, but {point.title}: {message}"]
        if wrong is not None:
            return wrong
    return findings, []


def wrong_there(
    setting: "Setting", base: Replay, weights: Array, point: Point, rng: np.random.Generator
) -> tuple[list[Finding], list[str]] | None:
    """Findings and notes of that place, or None where nothing is wrong there."""
    net, count = setting.net, len(point.x)
    if point.moved:
        move(net, point.moved, rng)
    output = output_at(net, point.x)
    with listening(net) as heard:
        found = gradients_of(net, point.x, point.labels)
    functions = base.functions
    there = replay(net, point.x, functions, base.form)
    width = 100 * REPRODUCED.get(output.dtype, 1e-9) * abs(output).max()
    if not np.isfinite(there.output).all() or abs(there.output - output).max() > width:
        return None  # forward itself is another one there: nothing is known
    loss = Loss(net, point.labels)
    is_sum = setting.reduction == "sum" or weights.size == 1
    scaled = weights if is_sum else np.full(count, 1.0 / count)
    right = there.gradients(loss.derivative(there.output) * scaled[0])
    scales = (1.0,) if setting.reduction else (1.0, float(count), float(len(setting.trial.x)))
    largest = max(float(abs(g).max(initial=0.0)) for g in right.values())
    failed = [
        failure(n, g, right[n], point)
        for n, g in found.items()
        if is_wrong(g, right[n], scales, largest)
    ]
    if not failed:
        return None
    trial = replace(setting.trial, x=point.x, labels=point.labels, gradients=found, heard=heard)
    moved = replace(setting, trial=trial)
    told_of, notes = explain(moved, failed, there, loss, scaled, right, (base,))
    passing = {n: Finding(n, PASS) for n in found}
    merged = passing | {f.name: f for f in told_of}
    return list(merged.values()), [*notes[:1], f"right at first, wrong {point.title}", *notes[1:]]


def move(net: Any, share: float, rng: np.random.Generator) -> None:
    """All parameters, by about so much of their size."""
    for _, layer, attribute in parameters(net):
        array = getattr(layer, attribute)
        size = share * float(abs(array).mean() or 1.0)
        array[...] = array + (size * rng.standard_normal(array.shape)).astype(array.dtype)


def failure(name: str, gradient: Array, right: Array, point: Point) -> Finding:
    if gradient.shape != right.shape:
        note = f"the gradient has shape {gradient.shape}, the array {right.shape}"
        return Finding(name, FAIL, note=note)
    off = np.abs(gradient - right)
    index = tuple(int(k) for k in np.unravel_index(int(off.argmax()), off.shape))
    bar = CLOSE[gradient.dtype] * float(abs(right).max())
    note = f"right at first, wrong {point.title}"
    return Finding(name, FAIL, str(index), float(gradient[index]), float(right[index]), bar, note)


def is_wrong(gradient: Array, right: Array, scales: tuple[float, ...], natural: float) -> bool:
    if gradient.dtype not in CLOSE or gradient.shape != right.shape:
        return False
    close = CLOSE[gradient.dtype]
    largest = float(abs(right).max(initial=0.0))
    slack = close * largest + ROUNDING * float(np.finfo(gradient.dtype).eps) * natural
    return all(abs(gradient - s * right).max(initial=0.0) > s * slack for s in scales)
