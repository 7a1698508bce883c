"""check_update: an optimiser's step is replayed beside its formula, and so are its mutants."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any

import numpy as np

from gradcheck.arrays import generator
from gradcheck.budget import BUDGET, BudgetSpent, limited
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.update import FORMULA, MOMENTUM, choices, mutants
from gradcheck.formulas import FORMULAS, Rule
from gradcheck.guard import noting, spared
from gradcheck.layer import quiet
from gradcheck.network.drive import called
from gradcheck.rule import WHERE, require, require_shapes, rule_of
from gradcheck.state import Snapshot
from gradcheck.stepping import (
    SHAPES,
    History,
    NoParameterError,
    drive_function,
    drive_object,
    parameters_of,
)
from gradcheck.subject import Raised
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding, Report

Array = np.ndarray

STEPS = 5
"""At least three, because what a buffer keeps shows from the second on, and how from the third."""

MATCH = {8: 1e-8, 4: 2e-4}
"""By item size, relative to the step: how near a formula must be to be that of the step."""

VELOCITY = ("momentum", "nesterov")
"""Rules that keep one."""

UPHILL = 0.9
"""How well it explains a step uphill that its velocity has the wrong sign: so has the gradient."""


def check_update(
    step: Any,
    kind: str | None = None,
    seed: int = 0,
    title: str = "update",
    *,
    steps: int = STEPS,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    state: Callable[[], Any] | None = None,
    parameters: dict[str, str] | None = None,
    decay_way: str | None = None,
    decay_biases: bool | None = None,
    budget: float | None = BUDGET,
    **settings: float,
) -> Report:
    """Compare an optimiser's step with its formula, over several steps.

    Parameters
    ----------
    step : a function step(w, g) or step(w, g, state) that gives the new w, or (w, state), or
        changes w in place; or an object with step(), or update(), and parameter and gradient
        arrays, such as a network of the course's interface.
    kind : "gradient_descent", "momentum" (v ← μ·v − lr·g; w ← w + v), "nesterov", "adam",
        "adamw" or "rmsprop". By default momentum, gradient descent where that is 0.
    steps : how many are replayed, at least 3.
    shapes : of the parameters that a function is tried on.
    state : makes the state of a parameter, for a function; an empty dictionary by default.
    parameters : {"W": "dW"}, where an object's names are unusual.
    decay_way : "L2" or "decoupled"; decoupled for adamw by default.
    decay_biases : whether biases decay; by default both count, as a convention.
    budget : seconds after which the check is inconclusive; None for no limit.
    settings : lr, momentum, beta1, beta2, eps, weight_decay. By default the object's own.

    Raises
    ------
    TypeError, ValueError : for what cannot be a check, such as a setting that no rule has. What
        the step raises is in the report.
    """
    rule = rule_of(step, kind, settings, decay_way)
    require_shapes(shapes)
    require(steps, "steps", int, "a whole number")
    require(parameters, "parameters", (dict, NoneType), "a dictionary, as in {'W': 'dW'}")
    if state is not None and not callable(state):
        raise TypeError(f"{WHERE}: state is {state!r}, expected a function that makes one")
    rng = generator(seed)
    is_object = any(callable(getattr(step, n, None)) for n in ("step", "update"))
    if not is_object and not callable(step):
        expected = "a function step(w, g), or an object with step()"
        raise TypeError(f"{WHERE}: step is {step!r}, expected {expected}")
    try:
        with quiet(), limited(budget):
            if is_object:
                histories, rates = drive_object(step, rule, max(steps, 3), rng, parameters)
            else:
                histories = drive_function(step, rng, max(steps, 3), shapes, state)
                rates = [rule.lr] * max(steps, 3)
    except BudgetSpent as spent:
        return Report(title, seed, (Finding("step", INCONCLUSIVE, note=str(spent)),))
    except (Raised, NoParameterError) as fault:
        return Report(title, seed, (Finding("step", FAIL, note=str(fault)),))
    return judged(histories, rule, rates, title, seed, decay_biases)


def check_step(net: Any, x: Any, labels: Any, seed: int = 0, **options: Any) -> Report:
    """`check_update` of a network's step(), after a forward and a backward that fill it.

    Two rounds without a step between must give the same gradients, if zero_grads clears them.
    """
    kept, title = Snapshot(net), options.pop("title", "step")
    try:
        with limited(options.get("budget", BUDGET)):
            rounds = [gradients_after_round(net, x, labels) for _ in range(2)]
            report = check_update(net, seed=seed, title=title, **options)
    except BudgetSpent as spent:
        return Report(title, seed, (Finding("step", INCONCLUSIVE, note=str(spent)),))
    except Raised as raised:
        return Report(title, seed, (Finding("step", FAIL, note=str(raised)),))
    finally:
        kept.restore()
    wrong = [n for n, g in rounds[0].items() if not np.allclose(g, rounds[1][n], 1e-7, 0)]
    left = [
        Finding(n, FAIL, note="zero_grads leaves it", causes=(cause("not-zeroed", detail=n),))
        for n in wrong
    ]
    return replace(report, findings=(*left, *report.findings))


def gradients_after_round(net: Any, x: Any, labels: Any) -> dict[str, Array]:
    with quiet():
        called(net, "zero_grads")
        called(net, "forward", np.array(x))
        called(net, "backward", np.array(labels))
    return {p.name: np.array(p.gradient.get()) for p in parameters_of(net)}


# ---------------------------------------------------------------------- judging


def judged(
    histories: list[History],
    rule: Rule,
    rates: list[float],
    title: str,
    seed: int,
    decay_biases: bool | None,
) -> Report:
    findings, conventions = [], {}
    notes = ["the learning rate was halved on the way"] if rates[-1] != rates[0] else []
    for history in histories:
        wanted = expected(rule, history, decay_biases)
        matching = next((r for r in wanted if matches(r, history, rates)), None)
        if matching is not None:
            findings.append(Finding(history.name, PASS))
            if matching.convention:
                slug, detail = matching.convention, matching.detail
                conventions[slug] = cause(slug, detail=detail)
            continue
        with noting(notes):
            findings.append(wrong_step(history, histories, wanted[0], rates))
    checked = sum(len(h.gradients) * h.values[0].size for h in histories)
    told = tuple(conventions.values())
    return Report(title, seed, tuple(findings), checked, tuple(notes), told)


def expected(rule: Rule, history: History, decay_biases: bool | None) -> list[Rule]:
    """The rule, and those that are as right: conventions."""
    norm = of_norm(rule) if history.is_norm else []
    plain = replace(rule, weight_decay=0.0)
    if history.is_bias and rule.weight_decay:
        if decay_biases is False:
            rule = plain
        elif decay_biases is None:
            detail = "biases do not decay"
            found = [rule, plain.choice("decay-convention", detail)]
            return [*found, *choices(rule), *choices(plain), *norm]
    return [rule, *choices(rule), *norm]


def of_norm(rule: Rule) -> list[Rule]:
    """What γ and β may do instead."""
    if rule.kind not in VELOCITY:
        return []
    plain = replace(rule, kind="gradient_descent")
    return [plain.choice("norm-momentum", "γ and β descend without momentum")]


def matches(rule: Rule, history: History, rates: list[float]) -> bool:
    return mismatch(rule, history, rates) <= 1


def mismatch(
    rule: Rule, history: History, rates: list[float], velocities: Sequence[Array] | None = None
) -> float:
    """How far the steps are from the rule's, in tolerances: the largest of all entries.

    `velocities` are the old ones at each step, where they are not the parameter's own.
    """
    run, worst = rule.start(), 0.0
    for k, gradient in enumerate(history.gradients):
        before, after = (np.asarray(v, np.float64) for v in history.values[k : k + 2])
        if velocities is not None:
            run.velocity = velocities[k]
        with np.errstate(all="ignore"):
            moved = run.change(before, gradient, rates[k])
            is_same = (before + moved == after) | (np.isnan(before + moved) & np.isnan(after))
            is_same |= ~np.isfinite(moved) & ~np.isfinite(after)
            slack = tolerance(history, k, moved)
            off = np.where(is_same, 0.0, abs(after - before - moved) / np.maximum(slack, 1e-300))
        worst = max(worst, float(np.nan_to_num(off, nan=np.inf).max(initial=0)))
    return worst


def tolerance(history: History, k: int, moved: Array) -> Array:
    """How near each entry must come to where the step should lead, by its rounding."""
    before, after = (np.asarray(v, np.float64) for v in history.values[k : k + 2])
    dtype = history.values[0].dtype
    rounding = 4 * float(np.finfo(dtype).eps) * (abs(before) + abs(after))
    return np.asarray(MATCH.get(dtype.itemsize, MATCH[8]) * abs(moved) + rounding)


def wrong_step(
    history: History, histories: list[History], rule: Rule, rates: list[float]
) -> Finding:
    """The finding for one parameter, with every mutant that moves it in the same way."""
    run, off, k = rule.start(), np.zeros(0), 0
    for k, gradient in enumerate(history.gradients):
        moved = run.change(history.values[k], gradient, rates[k])
        off = abs(history.values[k + 1] - history.values[k] - moved)
        if not off.max(initial=0) <= MATCH[8] * abs(moved).max(initial=0):
            break
    where = np.unravel_index(int(np.argmax(np.nan_to_num(off, nan=np.inf))), off.shape)
    actual = float((history.values[k + 1] - history.values[k])[where])
    formula = FORMULAS[rule.kind]
    causes = tuple(spared(lambda: causes_of(history, histories, rule, rates)))
    return Finding(
        history.name,
        FAIL if np.isfinite(history.values[0]).all() else INCONCLUSIVE,
        f"step {k + 1}, {tuple(int(i) for i in where)}",
        actual,
        float(moved[where]),
        float(tolerance(history, k, moved)[where]),
        "the step, and what the formula gives",
        causes or (cause(FORMULA, 0.3, detail="no known mistake fits", formula=formula),),
    )


def causes_of(
    history: History, histories: list[History], rule: Rule, rates: list[float]
) -> list[Cause]:
    """The mutants that explain all steps, the first best."""
    still = all(np.array_equal(v, history.values[0]) for v in history.values)
    if still:
        return [cause("parameter-not-updated", name=history.name)]
    found: dict[str, Cause] = {}
    bases = [rule, *choices(rule), *(of_norm(rule) if history.is_norm else [])]
    tried = ((base, m) for base in bases for m in mutants(base, rates[0], len(histories)))
    for rank, (base, mutant) in enumerate(tried):
        if mutant.wrong not in found and matches(mutant, history, rates):
            found[mutant.wrong] = cause(
                mutant.wrong,
                1.0 - 1e-4 * rank,
                detail=mutant.detail,
                formula=FORMULAS[base.kind],
            )
            if base.kind in VELOCITY and mutant.sign * mutant.gradient_times < 0:
                detail = "it goes uphill, as w ← w − v does"
                found.setdefault(MOMENTUM, cause(MOMENTUM, UPHILL, detail=detail))
    if not found:
        found.update(fitted(history, histories, rule, rates))
    return sorted(found.values(), key=lambda one: -one.score)


def fitted(
    history: History, histories: list[History], rule: Rule, rates: list[float]
) -> dict[str, Cause]:
    """Mistakes with a number in them: another rate, another μ; another's gradient or velocity."""
    formula = FORMULAS[rule.kind]
    for other in histories:
        is_alike = other is not history and other.values[0].shape == history.values[0].shape
        if is_alike and matches(rule, replace(history, gradients=other.gradients), rates):
            detail = f"it takes the gradient of {other.name}"
            return {FORMULA: cause(FORMULA, detail=detail, formula=formula)}
    first = history.values[1] - history.values[0]
    wanted = rule.start().change(history.values[0], history.gradients[0], rates[0])
    factor = float((first * wanted).sum() / (wanted * wanted).sum())
    if np.isfinite(factor) and matches(replace(rule, times=factor), history, rates):
        detail = f"it is {factor:.6g} times as long"
        return {FORMULA: cause(FORMULA, detail=detail, formula=formula)}
    if rule.kind in VELOCITY:
        second = history.values[2] - history.values[1] + rates[1] * history.gradients[1]
        mu = float((second * first).sum() / (first * first).sum())
        if matches(replace(rule, momentum=mu), history, rates):
            return {MOMENTUM: cause(MOMENTUM, detail=f"μ is {mu:.6g}, not {rule.momentum:g}")}
        for other in histories:
            if other is not history and borrows(history, other, rule, rates):
                detail = f"it takes the velocity of {other.name} for the old one"
                return {MOMENTUM: cause(MOMENTUM, detail=detail)}
    return {}


def borrows(history: History, other: History, rule: Rule, rates: list[float]) -> bool:
    """Whether the old velocity is another parameter's, before or after that one's own step."""
    run, olds = rule.start(), [np.zeros(())]
    for value, gradient, rate in zip(other.values, other.gradients, rates, strict=False):
        run.change(value, gradient, rate)
        olds.append(np.asarray(run.velocity))
    shape = history.values[0].shape
    try:
        if np.broadcast_shapes(olds[1].shape, shape) != shape:
            return False
    except ValueError:
        return False
    return any(mismatch(rule, history, rates, kept) <= 1 for kept in (olds[:-1], olds[1:]))
