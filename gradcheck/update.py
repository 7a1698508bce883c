"""check_update: an optimiser's step is replayed beside its formula, and so are its mutants."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck import parameters as finding
from gradcheck.arrays import generator
from gradcheck.diagnose.causes import cause
from gradcheck.diagnose.update import choices, mutants
from gradcheck.formulas import RULES, Rule
from gradcheck.layer import quiet
from gradcheck.parameters import Parameter
from gradcheck.state import Snapshot
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Cause, Finding, Report

Array = np.ndarray

STEPS = 5
"""At least three, because what a buffer keeps shows from the second on, and how from the third."""

SHAPES = ((3, 4), (1, 4))
"""Of the parameters that a function is tried on: a matrix and a bias."""

MATCH = {8: 1e-8, 4: 2e-4}
"""By item size, relative to the step: how near a formula must be to be that of the step."""

SMALLEST, LARGEST = -5.0, 1.0
"""Powers of ten between which gradients lie: where they are small, eps shows."""

SLOWER = 0.5
"""Times the learning rate from the third step on, where it can be set: that tells a velocity
that has the rate inside from one that has not."""

SETTINGS = {
    "lr": ("lr", "learning_rate", "alpha", "eta"),
    "momentum": ("momentum", "mu"),
    "beta1": ("beta1", "beta_1", "b1"),
    "beta2": ("beta2", "beta_2", "b2", "rho", "decay_rate"),
    "eps": ("eps", "epsilon"),
    "decay": ("weight_decay", "decay", "l2", "reg"),
}
"""Attributes in which an object keeps its settings."""


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
    settings : lr, momentum, beta1, beta2, eps, decay. By default the object's own.
    """
    if kind is not None and kind not in RULES:
        raise ValueError(f"check_update: kind is {kind!r}, expected one of {', '.join(RULES)}")
    rule = rule_of(step, kind, settings, decay_way)
    rng = generator(seed)
    is_object = any(callable(getattr(step, n, None)) for n in ("step", "update"))
    try:
        with quiet():
            if is_object:
                histories, rates = drive_object(step, rule, max(steps, 3), rng, parameters)
            else:
                histories = drive_function(step, rng, max(steps, 3), shapes, state)
                rates = [rule.lr] * max(steps, 3)
    except (Exception, SystemExit) as error:
        note = f"the step raised {type(error).__name__}: {error}"
        return Report(title, seed, (Finding("step", FAIL, note=note),))
    return judged(histories, rule, rates, title, seed, decay_biases)


def check_step(net: Any, x: Any, labels: Any, seed: int = 0, **options: Any) -> Report:
    """`check_update` of a network's step(), after a forward and a backward that fill it.

    Two rounds without a step between must give the same gradients, if zero_grads clears them.
    """
    kept = Snapshot(net)
    try:
        rounds = [gradients_after_round(net, x, labels) for _ in range(2)]
        report = check_update(net, seed=seed, title=options.pop("title", "step"), **options)
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
        net.zero_grads()
        net.forward(np.array(x))
        net.backward(np.array(labels))
    return {p.name: np.array(p.gradient.get()) for p in parameters_of(net)}


def rule_of(step: Any, kind: str | None, settings: dict[str, float], way: str | None) -> Rule:
    """The rule that is meant: settings given, or the object's own."""
    found = dict(settings)
    for name, attributes in SETTINGS.items():
        values = (getattr(step, a, None) for a in attributes)
        own = next((float(v) for v in values if isinstance(v, (int, float, np.floating))), None)
        if name not in found and own is not None:
            found[name] = own
    if kind is None:
        kind = "momentum" if found.get("momentum") else "gradient_descent"
    way = way or ("decoupled" if kind == "adamw" else "L2")
    return Rule(kind=kind, decay_way=way, **found)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- driving a step


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
            found = step(w, gradient.copy(), *rest)
            if isinstance(found, tuple):
                found, states[k] = found[0], found[1] if len(found) == 2 else found[1:]
            history.gradients.append(gradient)
            history.values.append(updated(w if found is None else found, w.shape))
    return histories


def updated(value: Any, shape: tuple[int, ...]) -> Array:
    """What a step gave, if it can be a parameter: real numbers in the parameter's shape."""
    array = np.array(value)
    if array.dtype.kind not in "fiu" or array.shape != shape:
        given = f"shape {array.shape}" if array.dtype.kind in "fiu" else repr(value)[:60]
        raise TypeError(f"it gives {given}, expected a parameter of shape {shape}")
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
        raise ValueError("no parameter arrays with gradients were found")
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
            (getattr(target, "step", None) or target.update)()
            for parameter, history in zip(found, histories, strict=True):
                history.values.append(np.array(parameter.value.get()))
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
    for history in histories:
        wanted = expected(rule, history, decay_biases)
        if history.is_norm and rule.kind in ("momentum", "nesterov"):
            plain = replace(rule, kind="gradient_descent")
            what = "γ and β descend without momentum"
            wanted.append(plain.choice("norm-momentum", what))
        matching = next((r for r in wanted if matches(r, history, rates)), None)
        if matching is not None:
            findings.append(Finding(history.name, PASS))
            if matching.convention:
                slug, detail = matching.convention, matching.detail
                conventions[slug] = cause(slug, detail=detail)
            continue
        findings.append(wrong_step(history, histories, wanted[0], rates))
    checked = sum(len(h.gradients) * h.values[0].size for h in histories)
    notes = ("the learning rate was halved on the way",) if rates[-1] != rates[0] else ()
    return Report(title, seed, tuple(findings), checked, notes, tuple(conventions.values()))


def expected(rule: Rule, history: History, decay_biases: bool | None) -> list[Rule]:
    """The rule, and those that are as right: conventions."""
    plain = replace(rule, decay=0.0)
    if history.is_bias and rule.decay:
        if decay_biases is False:
            rule = plain
        elif decay_biases is None:
            detail = "biases do not decay"
            found = [rule, plain.choice("decay-convention", detail)]
            return [*found, *choices(rule), *choices(plain)]
    return [rule, *choices(rule)]


def matches(rule: Rule, history: History, rates: list[float]) -> bool:
    return mismatch(rule, history, rates) <= 1


def mismatch(rule: Rule, history: History, rates: list[float]) -> float:
    """How far the steps are from the rule's, in tolerances: the largest of all entries."""
    run, worst = rule.start(), 0.0
    size = history.values[0].dtype.itemsize
    close, unit = MATCH.get(size, 1e-8), float(np.finfo(history.values[0].dtype).eps)
    for k, gradient in enumerate(history.gradients):
        before, after = (np.asarray(v, np.float64) for v in history.values[k : k + 2])
        with np.errstate(all="ignore"):
            moved = run.change(before, gradient, rates[k])
            is_same = (before + moved == after) | (np.isnan(before + moved) & np.isnan(after))
            is_same |= ~np.isfinite(moved) & ~np.isfinite(after)
            slack = close * abs(moved) + 4 * unit * (abs(before) + abs(after))
            off = np.where(is_same, 0.0, abs(after - before - moved) / np.maximum(slack, 1e-300))
        worst = max(worst, float(np.nan_to_num(off, nan=np.inf).max(initial=0)))
    return worst


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
    causes = tuple(causes_of(history, histories, rule, rates))
    return Finding(
        history.name,
        FAIL if np.isfinite(history.values[0]).all() else INCONCLUSIVE,
        f"step {k + 1}, {tuple(int(i) for i in where)}",
        actual,
        float(moved[where]),
        0.0,
        "the step, and what the formula gives",
        causes or (cause("update-formula-mismatch", 0.3, detail="no known mistake fits"),),
    )


def causes_of(
    history: History, histories: list[History], rule: Rule, rates: list[float]
) -> list[Cause]:
    """The mutants that explain all steps, the first best."""
    still = all(np.array_equal(v, history.values[0]) for v in history.values)
    if still:
        return [cause("parameter-not-updated", name=history.name)]
    found: dict[str, Cause] = {}
    bases = [rule, *choices(rule)]
    for rank, mutant in enumerate(m for b in bases for m in mutants(b, rates[0], len(histories))):
        if mutant.wrong not in found and matches(mutant, history, rates):
            found[mutant.wrong] = cause(mutant.wrong, 1.0 - 1e-4 * rank, detail=mutant.detail)
    if not found:
        found.update(fitted(history, histories, rule, rates))
    return sorted(found.values(), key=lambda one: -one.score)


def fitted(
    history: History, histories: list[History], rule: Rule, rates: list[float]
) -> dict[str, Cause]:
    """Mistakes with a number in them: another rate, another μ, another's gradient."""
    slug = "update-formula-mismatch"
    for other in histories:
        is_alike = other is not history and other.values[0].shape == history.values[0].shape
        if is_alike and matches(rule, replace(history, gradients=other.gradients), rates):
            return {slug: cause(slug, detail=f"it takes the gradient of {other.name}")}
    first = history.values[1] - history.values[0]
    wanted = rule.start().change(history.values[0], history.gradients[0], rates[0])
    factor = float((first * wanted).sum() / (wanted * wanted).sum())
    if np.isfinite(factor) and matches(replace(rule, times=factor), history, rates):
        return {slug: cause(slug, detail=f"it is {factor:.6g} times as long")}
    if rule.kind in ("momentum", "nesterov"):
        second = history.values[2] - history.values[1] + rates[1] * history.gradients[1]
        mu = float((second * first).sum() / (first * first).sum())
        if matches(replace(rule, momentum=mu), history, rates):
            slug = "momentum-mismatch"
            return {slug: cause(slug, detail=f"μ is {mu:.6g}, not {rule.momentum:g}")}
    return {}
