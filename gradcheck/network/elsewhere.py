"""A network that is right at one place may be wrong at another: other parameters, other inputs.

The replay knows the right gradients there, too, so each further place costs one pass.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.course import parameters, told
from gradcheck.diagnose.causes import cause
from gradcheck.network.drive import gradients_of, preserved
from gradcheck.network.losses import Loss
from gradcheck.network.replay import REPRODUCED, Replay, replay
from gradcheck.network.walk import gradient_place
from gradcheck.verdict import FAIL, Cause, Finding

if TYPE_CHECKING:
    from gradcheck.network.check import Setting

Array = np.ndarray

MOVED = 0.25
"""Parameters are moved by so much of their size."""

CLOSE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-2}
"""Relative to the largest entry. Between, nothing is said."""


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
            wrong = wrong_there(setting, base, weights, point, rng)
        if isinstance(wrong, str):
            failed = Finding("network", FAIL, note=wrong, causes=(cause("raised", call="it", error=wrong),))
            return [*findings, failed], [f"right here, but {point.title}: {wrong}"]
        if wrong:
            named = [n for n in reversed(list(setting.trial.gradients)) if n in wrong]
            ordered = sorted(named, key=lambda n: (n == "input",))
            first = gradient_place(ordered[0])
            why = reason(point)
            changed = [
                replace(f, verdict=FAIL, note=f"right here, wrong {point.title}", causes=(why,))
                if f.name in wrong
                else f
                for f in findings
            ]
            return changed, [f"first wrong: {first} (right here, wrong {point.title})"]
    return findings, []


def reason(point: Point) -> Cause:
    if point.moved:
        return cause("stale-cache", detail="it does not follow when the parameters change")
    if "batch" in point.title:
        return cause("stale-cache", detail="it depends on the size of an earlier batch")
    return cause("region-wrong", region=f"not here, but {point.title}")


def wrong_there(
    setting: "Setting", base: Replay, weights: Array, point: Point, rng: np.random.Generator
) -> set[str] | str:
    """Names of the arrays that are wrong there; or what was raised."""
    net, count = setting.net, len(point.x)
    if point.moved:
        for _, layer, attribute in parameters(net):
            array = getattr(layer, attribute)
            size = point.moved * float(abs(array).mean() or 1.0)
            array[...] = array + (size * rng.standard_normal(array.shape)).astype(array.dtype)
    try:
        output = np.array(net.forward(point.x.copy()))
        found = gradients_of(net, point.x, point.labels)
    except Exception as error:
        return told(error)
    functions = [s.phi for s in base.steps if s.kind == "activation"]
    there = replay(net, point.x, functions, base.form)
    width = 100 * REPRODUCED.get(output.dtype, 1e-9)
    if not np.isfinite(there.output).all() or abs(there.output - output).max() > width * (
        abs(output).max()
    ):
        return set()  # forward itself is another one there: nothing is known
    loss = Loss(net, point.labels)
    weight = weights[0] if setting.reduction == "sum" or weights.size == 1 else 1.0 / count
    right = there.gradients(loss.derivative(there.output) * weight)
    scales = (1.0,) if setting.reduction else (1.0, float(count), float(len(setting.trial.x)))
    return {n for n, g in found.items() if is_wrong(g, right[n], scales)}


def is_wrong(gradient: Array, right: Array, scales: tuple[float, ...]) -> bool:
    if gradient.dtype not in CLOSE or gradient.shape != right.shape:
        return False
    close = CLOSE[gradient.dtype]
    largest = float(abs(right).max(initial=0.0))
    natural = 1e-9  # gradients that are zero but for rounding
    return all(
        abs(gradient - s * right).max(initial=0.0) > s * (close * largest + natural) for s in scales
    )
