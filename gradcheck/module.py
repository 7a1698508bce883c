"""check_module: a layer, an object with forward and backward, is checked as it is."""

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck import modes, protocol, running, sizes
from gradcheck.arguments import require_domain
from gradcheck.arrays import float_dtype, generator
from gradcheck.budget import BUDGET, BudgetSpent, limited
from gradcheck.diagnose.causes import cause
from gradcheck.examine import Settings, examine
from gradcheck.further import RIGHT_HERE
from gradcheck.layer import Layer, quiet
from gradcheck.points import Domain
from gradcheck.protocol import Session
from gradcheck.relations import Broken, with_broken
from gradcheck.state import Snapshot
from gradcheck.subject import FAULTS, Authored, Subject, lookup_fault, message_of
from gradcheck.trial import Trial
from gradcheck.verdict import FAIL, INCONCLUSIVE, Cause, Finding, Report

Array = np.ndarray

MODES = {None: None, "train": True, "training": True, "eval": False, "evaluation": False}

FRACTION = 0.25
"""Added to whole numbers: where it makes no difference, they are used as indices."""

SAME_SCALE = {8: 1e-4, 4: 3e-2}
"""By item size, relative: how near to 1/N a ratio must be to be taken for it."""

NORMALISING = ("gamma", "beta")
"""Parameters of a normalisation."""

TWIN = 1e-3
"""Relative: how near the copy in float64 must come to the layer to stand in for it."""


def check_module(
    layer: Any,
    x: Any,
    labels: Any = None,
    seed: int = 0,
    title: str | None = None,
    *,
    parameters: dict[str, str] | None = None,
    budget: float | None = BUDGET,
    forward: str = "forward",
    backward: str = "backward",
    mode: str | None = None,
    accumulate: bool | None = None,
    domain: Domain = None,
) -> Report:
    """Compare the gradients that a layer gives with differences, and test how it keeps them.

    Parameters
    ----------
    layer : an object with forward(x), or forward(x, labels), and backward(dy), which returns
        dx; or, in place of backward, derivative(): φ'(x) of an activation, dz of a loss.
    x : what forward takes, the batch first.
    labels : the targets of a loss.
    seed : of every random draw.
    title : of the report, the name of the layer's class by default.
    parameters : which array has its gradient where, {"W": "dW"}, for names that are not
        found: W and dW, weight and weight_grad, gamma and dgamma, `params` and `grads` are.
    budget : seconds after which what is not decided is inconclusive; None for no limit.
    forward, backward : names of the methods.
    mode : "train" or "eval". None checks the layer in the mode in which it is; where it has a
        switch, its gradients must be right in the other mode as well.
    accumulate : True where a second backward must add to the gradients, False where it must
        not; by default a layer may add if it has a zero_grad.
    domain : for "x" or a parameter's name, the least and greatest value at which the layer is
        defined.

    Returns
    -------
    Report : one finding for x, one for each parameter, and one for each rule that is broken.
        Afterwards the layer is as it was before, running statistics and caches included.
    """
    if mode not in MODES:
        raise ValueError(f"check_module: mode is {mode!r}, expected 'train' or 'eval'")
    if parameters is not None and not isinstance(parameters, dict):
        raise TypeError(f"check_module: parameters is {parameters!r}, expected as in {{'W': 'dW'}}")
    title = type(layer).__name__ if title is None else title
    fault = lookup_fault(layer)
    if fault is not None:
        return unreadable(title, seed, fault)
    kept = Snapshot(layer)
    try:
        with quiet(), limited(budget):
            given, notes = as_input(layer, x, labels, forward)
            found = Layer(layer, given, labels, parameters, forward, backward, MODES[mode])
            return examined(found, given, seed, title, accumulate, domain, notes)
    except BudgetSpent as spent:  # before anything was found
        return Report(title, seed, (Finding("x", INCONCLUSIVE, note=str(spent)),), 0, (str(spent),))
    finally:
        kept.restore()


def unreadable(title: str, seed: int, fault: BaseException) -> Report:
    """The report on a layer that answers the question for an attribute with an odd error."""
    error = f"{type(fault).__name__}: {message_of(fault)}, not an AttributeError"
    named = cause("raised", call="__getattr__", error=error)
    return Report(title, seed, (Finding("layer", FAIL, note=named.sentence, causes=(named,)),), 0)


def as_input(layer: Any, x: Any, labels: Any, forward: str) -> tuple[Array, list[str]]:
    """x as an array: integers as floats, unless forward takes them for indices."""
    try:
        array = np.array(x)
    except ValueError:  # rows of unequal length
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"check_module: x has dtype {array.dtype}, expected real numbers")
    if array.dtype.kind == "f":
        return array, []
    kept = Snapshot(layer)
    run = getattr(layer, forward, None) or layer
    others = () if labels is None else (labels,)
    try:
        plain, near, far = (np.array(run(array + k, *others)) for k in (0.0, FRACTION, 1.0))
        if np.array_equal(plain, near) and not np.array_equal(plain, far):
            return array, []  # it rounds them down, to indices
    except (IndexError, TypeError):
        return array, []
    except FAULTS:
        return array.astype(np.float64), []
    finally:
        kept.restore()
    return array.astype(np.float64), ["integer inputs were converted to float64"]


def examined(
    layer: Layer,
    x: Array,
    seed: int,
    title: str,
    accumulate: bool | None,
    domain: Domain,
    notes: list[str],
) -> Report:
    """The report on a layer."""
    trial = Trial(layer)
    rng = generator(seed)
    if x.dtype.kind == "f" and any(v.dtype.itemsize > x.dtype.itemsize for v in trial.values):
        notes.append(f"x was converted from {x.dtype} to float64, as the parameters are")
        x = x.astype(np.float64)
    inputs = [x, *trial.values]
    if any(np.asarray(p.get()).dtype.kind in "iu" for p in layer.places()):
        notes.append("integer parameters were converted to float64 for the check")
    require_domain("check_module", domain, trial.names, inputs)
    session = begin(trial, x, rng, accumulate)
    broken: list[Broken] = []
    conventions: list[Cause] = []
    if session is not None:
        with suppress(BudgetSpent):  # the examination says so, array by array
            try:
                conventions = scales(session, inputs)
            except FAULTS as error:
                session.notes.append(f"scales: {type(error).__name__}: {message_of(error)}")
            broken = protocol.run(session)
    subject = Subject(trial.forward, trial.backward, trial.names, authored_by(trial))
    is_loss = layer.ignores_cotangent
    cotangents = [np.ones(session.dy.shape)] if is_loss and session is not None else None
    settings = Settings(
        title,
        seed,
        is_fixed=is_loss,
        cotangents=cotangents,
        domain=domain,
        twin=twin_of(trial, inputs),
        notes=tuple(notes),
        may_accumulate=True,
    )
    report = examine(subject, inputs, settings)
    if session is not None:
        broken += running.run(session)
        wrong = [f.name for f in report.findings if is_wrong_here(f)]
        broken += [] if broken else modes.run(session, wrong)
        broken += sizes.run(session, wrong)
        conventions += session.conventions
        report = replace(report, notes=(*report.notes, *session.notes))
    if trial.reshaped:
        shaped = ", ".join(f"d{name}" for name in sorted(trial.reshaped))
        report = replace(report, notes=(*report.notes, f"{shaped}: shape (n,) taken for (1, n)"))
    return joined(report, broken, conventions)


def authored_by(trial: Trial) -> Authored | None:
    """The layer's own backward; None where it has only a derivative."""
    layer = trial.layer
    if layer.rule is None:
        return None

    def adapt(function: Callable[..., Any]) -> Callable[..., Any]:
        def backward(dy: Any, *inputs: Any) -> tuple[Any, ...]:
            own, layer.rule = layer.rule, function
            try:
                return trial.backward(dy, *inputs)
            finally:
                layer.rule = own

        return backward

    kept = {
        f"self.{parameter.gradient.key}": i
        for i, parameter in enumerate(layer.parameters, 1)
        if parameter.gradient.holder is layer.target
    }
    parameters = tuple(f"self.{parameter.value.key}" for parameter in layer.parameters)
    has_cotangent = not layer.ignores_cotangent
    return Authored(layer.rule, adapt, has_cotangent, kept, parameters, True, layer.run)


def is_wrong_here(finding: Finding) -> bool:
    """Not only elsewhere, at another batch size perhaps."""
    return finding.verdict == FAIL and not finding.note.startswith(RIGHT_HERE)


def begin(
    trial: Trial, x: Array, rng: np.random.Generator, accumulate: bool | None
) -> Session | None:
    """What the tests need, or None where the layer does not run, or not twice the same."""
    try:
        y, again = (trial.forward(x.copy(), *trial.values) for _ in range(2))
        if not np.isfinite(y).all() or not np.array_equal(y, again):
            return None
        dy = np.asarray(rng.standard_normal(y.shape), float_dtype(y))
        if trial.layer.ignores_cotangent:
            dy = np.ones(y.shape, float_dtype(y))
        first, second = (trial.alone(x, dy)[1] for _ in range(2))
        if not all(protocol.near(a, b) for a, b in zip(first, second, strict=True)):
            return None
        if trial.snapshot.are_globals_untouched():  # to put them back takes longer than a layer
            trial.snapshot.has_globals = False
    except (BudgetSpent, *FAULTS):
        return None
    return Session(trial, x, dy, rng, accumulate)


def scales(session: Session, inputs: list[Any]) -> list[Cause]:
    """Which gradients are means over the batch: a convention, as course years differ.

    It is one for parameters, and for the gradient of a loss. The dx of a layer is what it is. Of
    one part, all are means or none is: else those that are have been divided once too often.
    """
    trial, x, dy = session.trial, session.x, session.dy
    count = len(x) if x.ndim else 1
    is_loss = trial.layer.labels is not None
    if count < 2:
        return []
    _, found = trial.alone(x, dy)
    found = [g if g is None else trial.fitted(i, g, inputs[i], 0) for i, g in enumerate(found)]
    powers: dict[int, int | None] = {}
    for i, gradient in enumerate(found):
        if gradient is None or gradient.shape != np.shape(inputs[i]) or (i == 0) != is_loss:
            continue
        powers[i] = power_of(session, inputs, i, gradient, count)
    conventions = []
    summed = {part_of(trial.names[i]) for i, power in powers.items() if power == 0}
    for i, power in powers.items():
        is_mean = power == -1 and part_of(trial.names[i]) not in summed
        if power and (is_mean or (power == 1 and is_loss)):
            trial.powers[i] = power
            what = "the mean" if is_mean else f"{count} times the sum"
            conventions.append(cause("batch-scale", name=trial.names[i], what=what))
    return conventions


def part_of(name: str) -> tuple[str, bool]:
    """The layer within a layer that a parameter belongs to, and whether that is a normalisation:
    courses that take means elsewhere take sums there.
    """
    place, _, letter = name.rpartition(".")
    return place, letter in NORMALISING


def power_of(
    session: Session, inputs: list[Any], i: int, gradient: Array, count: int
) -> int | None:
    """p, where the gradient is N**p times the slopes along random directions; or None."""
    ratios = []
    for _ in range(3):
        direction = session.rng.choice([-1.0, 1.0], gradient.shape)
        estimate = session.trial.slope(inputs, session.dy, i, direction)
        analytic = float((gradient * direction).sum())
        if not estimate.is_finite or not estimate.value:
            return None
        ratios.append(analytic / estimate.value)
    close = SAME_SCALE.get(gradient.dtype.itemsize, 1e-4)
    for power in (0, -1, 1):
        if all(abs(ratio / float(count) ** power - 1) < close for ratio in ratios):
            return power
    return None


def twin_of(trial: Trial, inputs: Sequence[Any]) -> Any:
    """forward of a copy of the layer in float64, where the layer keeps float32."""
    layer = trial.layer
    if all(np.asarray(p.get()).dtype != np.float32 for p in layer.places()):
        return None
    try:
        trial.restart()
        target = copy.deepcopy(layer.target)
        widen(target, set())
        other = copy.copy(layer)
        other.target, other.mode = target, copy.copy(layer.mode)
        other.mode.layer = target
        other.run = getattr(target, getattr(layer.run, "__name__", ""), None) or target
        names = {p.name: p for p in layer.parameters}
        other.parameters = [p for p in twin_parameters(layer, other) if p.name in names]
        twin = Trial(other)
        wide = [np.asarray(v, np.float64) for v in inputs]
        y, expected = twin.forward(*wide), trial.forward(inputs[0].copy(), *trial.values)
    except (BudgetSpent, *FAULTS):
        return None
    scale = float(abs(expected).max(initial=0))
    is_twin = y.dtype == np.float64 and abs(y - expected).max(initial=0) <= TWIN * scale
    return twin.forward if is_twin and len(twin.names) == len(trial.names) else None


def twin_parameters(layer: Layer, other: Layer) -> list[Any]:
    """The parameters of a copy of the layer, found where the layer's are."""
    again = Layer(other.target, layer.x.astype(np.float64), layer.labels)
    return again.parameters


def widen(target: Any, seen: set[int]) -> None:
    """Every float32 array that the object holds becomes float64."""
    if id(target) in seen:
        return
    seen.add(id(target))
    held = target if isinstance(target, (dict, list)) else getattr(target, "__dict__", {})
    for key, value in held.items() if isinstance(held, dict) else list(enumerate(held)):
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            held[key] = value.astype(np.float64)
        elif isinstance(value, np.dtype) and value == np.float32:
            held[key] = np.dtype(np.float64)
        elif not isinstance(value, (type, np.ndarray)):
            widen(value, seen)


def joined(report: Report, broken: list[Broken], conventions: list[Cause]) -> Report:
    """The report, and what the tests of the protocol found: their causes go first."""
    findings = tuple(with_broken(report.findings, broken))
    return replace(report, findings=findings, conventions=(*report.conventions, *conventions))
