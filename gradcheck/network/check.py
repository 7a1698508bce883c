"""check_network: the gradients of a whole network, and the first place that is wrong."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from gradcheck.arrays import generator, jitter, largest_difference
from gradcheck.budget import BudgetSpent, limited
from gradcheck.compare import Quantity
from gradcheck.course import parameters, told
from gradcheck.guard import noting, spared
from gradcheck.network.arguments import batch, require_network, require_reduction, require_targets
from gradcheck.network.arrays import compare_array
from gradcheck.network.conventions import convention_notes, reductions, with_odd_ones
from gradcheck.network.drive import (
    Places,
    buffers_of,
    gradients_of,
    output_at,
    parameter_values,
    preserved,
    promoted,
)
from gradcheck.network.elsewhere import look_elsewhere
from gradcheck.network.explain import explain
from gradcheck.network.listen import Heard, layers_of, listening
from gradcheck.network.losses import Loss
from gradcheck.network.mend import mended
from gradcheck.network.protocol import broken_rules
from gradcheck.network.replay import Replay, reproduce, why_not_reproduced
from gradcheck.network.units import note_units, unused_parameters
from gradcheck.relations import with_broken
from gradcheck.rounding import JITTERS
from gradcheck.subject import Raised, lookup_fault
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Finding, Report

Array = np.ndarray

NETWORK_BUDGET = 600.0
"""Seconds, unless the caller says otherwise: compiled networks take a minute for a first call."""


def check_network(
    net: Any,
    x: Any,
    labels: Any,
    seed: int = 0,
    twin: Any = None,
    title: str = "network",
    reduction: str | None = None,
    *,
    budget: float | None = NETWORK_BUDGET,
) -> Report:
    """Compare every gradient of a network of the course's interface with differences.

    The scalar is the loss of the batch, computed here from the network's output:
    logsumexp(z) - y·z, the squared error where the criterion is named so, or what a criterion
    of another name says itself; reduced as `reduction` or, by default, `net.reduction` says.
    Where neither is there, courses differ: gradients of the mean and of the sum both count,
    array by array, and a note tells them.

    Where something is wrong, the network is replayed in NumPy from its own parameters, and
    followed in backward order: the report's first note names the first place that is wrong.

    What no gradient shows is tested besides: forward and backward leave the batch, the targets
    and the parameters as they are, running statistics are averages of the batches and still in
    evaluation, where samples are apart, and the loss stands logits beyond ±1000.

    Parameters
    ----------
    net : `forward(x)`, `backward(labels)`, `zero_grads()`, `linear_layers` with W, b, dW, db
        and, where it has batchnorm, `bn_layers` with gamma, beta, dgamma, dbeta. Its
        parameters are perturbed in place; they and the running statistics are put back.

        Verdicts need no more. Places and causes need to know each layer's activation:
        `activations`, a list with one object for each linear layer, with forward(z); that of
        the output, too, which gives z where there is none. Without it, the usual ones are
        tried, the same in all hidden layers. `criterion` and `reduction`, where they are
        there, say which loss it is; without them it is softmax cross-entropy.
    labels : integer classes (N,) or target rows (N, outputs).
    twin : the same network with the same parameters in float64, to take sharper differences
        of where `net` is float32. Default: `net.astype(float64)`, where there is that method.
    reduction : "mean", "sum" or None.
    budget : seconds after which what is not decided is inconclusive; None for no limit.

    Raises
    ------
    TypeError, ValueError : for what cannot be a check: no network, labels that are no targets
        of its output. What the network raises is in the report.
    """
    for one in chain((net,), (layer for _, layer in layers_of(net))):
        fault = lookup_fault(one)
        if fault is not None:
            return undone(title, seed, FAIL, f"{type(one).__name__}.__getattr__: {told(fault)}")
    for network in (net, *(() if twin is None else (twin,))):
        require_network(network)
    require_reduction(reduction)
    x, labels = batch(x, labels)
    reduction = reduction or getattr(net, "reduction", None)
    if twin is None and x.dtype == np.float32 and hasattr(net, "astype"):
        twin = net.astype(np.float64)
    rng = generator(seed)
    with preserved(net), np.errstate(all="ignore"), limited(budget):
        try:
            trial = listen_to(net, x, labels, rng)
            if twin is None and is_single(net, trial.output):
                twin = promoted(net, x, trial.output)
        except BudgetSpent as spent:
            return undone(title, seed, INCONCLUSIVE, str(spent))
        except Raised as raised:
            return undone(title, seed, FAIL, told(raised.error))
        if not np.isfinite(trial.output).all():
            return undone(title, seed, INCONCLUSIVE, "forward is not finite here")
        measured = net if twin is None else twin
        try:
            with preserved(measured):
                return judge(Setting(net, measured, trial, reduction, title, seed), rng)
        except Raised as raised:  # the criterion, asked for its losses
            return undone(title, seed, FAIL, str(raised))


def is_single(net: Any, output: Array) -> bool:
    """Whether float32 is in the way of sharp differences: in the output, or in a parameter, where
    it rounds every step of them.
    """
    arrays = [output, *(np.asarray(getattr(layer, a)) for _, layer, a in parameters(net))]
    return any(array.dtype == np.float32 for array in arrays)


def undone(title: str, seed: int, verdict: str, note: str) -> Report:
    """The report where the network did not run as far as its gradients."""
    return Report(title, seed, (Finding("network", verdict, note=note),), 0, (note,))


@dataclass(frozen=True)
class Trial:
    """What one forward and one backward gave, and what was heard meanwhile.

    Attributes
    ----------
    earlier : the gradients of another batch, run before.
    spreads : how far each gradient moves when everything moves by one unit in the last place.
    changed : parameters that backward changed.
    buffers : other arrays that the layers kept then, by the name of the parameter.
    """

    x: Array
    labels: Array
    output: Array
    gradients: dict[str, Array]
    earlier: dict[str, Array]
    other: tuple[Array, Array]
    heard: Heard
    spreads: dict[str, Array]
    changed: dict[str, Array]
    buffers: dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Setting:
    """All that a check is of."""

    net: Any
    measured: Any
    trial: Trial
    reduction: str | None
    title: str
    seed: int


def listen_to(net: Any, x: Array, labels: Array, rng: np.random.Generator) -> Trial:
    """Run another batch, so that what is stale shows, and then the batch itself."""
    first = output_at(net, x)
    require_targets(getattr(net, "criterion", None), labels, first.shape)
    other = other_batch(x, labels)
    earlier = gradients_of(net, *other)
    before = parameter_values(net)
    with listening(net) as heard:
        gradients = gradients_of(net, x, labels)
    after, buffers = parameter_values(net), buffers_of(net)
    changed = {n: a for n, a in after.items() if not np.array_equal(a, before[n], equal_nan=True)}
    put_back(net, before)
    again = gradients_of(net, x, labels)
    put_back(net, before)
    is_steady = all(nearly(g, again[n]) for n, g in gradients.items() if n in again)
    # The gradients of a network that remembers move for other reasons than rounding.
    spreads = rounding_spreads(net, x, labels, gradients, first.dtype, rng) if is_steady else {}
    output = output_at(net, x)
    return Trial(x, labels, output, gradients, earlier, other, heard, spreads, changed, buffers)


def other_batch(x: Array, labels: Array) -> tuple[Array, Array]:
    """As many samples, other numbers."""
    moved = (x[::-1] * 0.75 + 0.125).astype(x.dtype) if x.dtype.kind == "f" else x[::-1].copy()
    return moved, labels[::-1].copy()


def nearly(one: Array, other: Array) -> bool:
    is_real = one.dtype.kind in "fiub" and other.dtype.kind in "fiub"
    return (
        is_real
        and one.shape == other.shape
        and np.allclose(
            np.asarray(one, np.float64), np.asarray(other, np.float64), rtol=1e-6, equal_nan=True
        )
    )


def put_back(net: Any, values: dict[str, Array]) -> None:
    for name, layer, attribute in parameters(net):
        getattr(layer, attribute)[...] = values[name]


def rounding_spreads(
    net: Any,
    x: Array,
    labels: Array,
    gradients: dict[str, Array],
    dtype: np.dtype,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """How far each gradient moves when everything moves by one unit in the last place.

    Parameters that are stored in fewer digits than the network computes in stay as they are:
    they are exact, and a unit of theirs is far more than what rounds.
    """
    others = []
    for _ in range(JITTERS):
        with preserved(net):
            for _, layer, attribute in parameters(net):
                array = getattr(layer, attribute)
                if array.dtype.itemsize >= dtype.itemsize:
                    array[...] = jitter([array], rng)[0]
            others.append(gradients_of(net, jitter([x], rng)[0], labels))
    return {
        name: largest_difference(gradient, [other[name] for other in others])
        for name, gradient in gradients.items()
    }


def judge(setting: Setting, rng: np.random.Generator) -> Report:
    """Every array against differences, and what is wrong explained."""
    net, trial, count = setting.net, setting.trial, len(setting.trial.x)
    loss = Loss(net, trial.labels)
    weights = weights_of(loss.values(trial.output), setting.reduction, count)
    replay, right, why_not = replayed(setting, loss, weights)
    measured = measure(setting, loss, weights, right, rng)
    findings, sums = measured.findings, measured.sums
    found, first = explained(setting, findings, replay, loss, weights, right, rng)
    first += [why_not] if why_not and any(f.verdict == FAIL for f in found) else []
    notes: list[str] = []
    known: dict[str, str] = {}
    if setting.reduction is None:
        known = reductions(findings, sums)
        found, first = with_odd_ones(found, first, known, count)
        failed = {f.name for f in found if f.verdict == FAIL}
        known = {name: way for name, way in known.items() if name not in failed}
        notes = convention_notes(known)
    with noting(first), suppress(BudgetSpent):
        found = next(spared(lambda: [mended(setting, found, known, first)]), found)
    unused: set[str] = set()
    with suppress(BudgetSpent, Raised):
        unused = unused_parameters(setting.net, trial.x, trial.gradients)
    found, units, dead = note_units(found, trial.gradients, unused)
    found = [replace(f, where=whereabouts(f)) for f in found]
    rules: list[str] = []
    with suppress(BudgetSpent):
        broken, rules = broken_rules(net, trial.x, trial.labels, replay, rng)
        found = with_broken(found, broken)
    with suppress(BudgetSpent, Raised):  # what it keeps is that of the network as it is
        gradients_of(net, trial.x, trial.labels)
    everything = (*first, *notes, *units, *rules, *measured.stopped)
    title, seed, checked = setting.title, setting.seed, measured.checked
    return Report(title, seed, tuple(found), checked, everything, dead, measured.calls)


@dataclass
class Measurement:
    """What differences say of every array.

    Attributes
    ----------
    sums : names of the gradients that are those of the sum over the batch.
    stopped : why not all of them could be measured, in one sentence; empty where they were.
    """

    findings: list[Finding]
    sums: set[str]
    checked: int = 0
    calls: int = 0
    stopped: tuple[str, ...] = ()


def measure(
    setting: Setting,
    loss: Loss,
    weights: Array,
    right: dict[str, Array],
    rng: np.random.Generator,
) -> Measurement:
    """Every array; those that come after the end of the budget are inconclusive."""
    trial, count = setting.trial, len(setting.trial.x)
    found = Measurement([], set())
    try:
        places = Places(setting.measured, wide(setting), loss)
        for name, gradient in trial.gradients.items():
            at, value = places.varied(name)
            quantity = Quantity(
                name, at, value, gradient, weights, places.epsilon, trial.spreads.get(name)
            )
            is_open = setting.reduction is None and count > 1
            comparison, is_sum = compare_array(quantity, rng, is_open, count, right.get(name))
            found.findings.append(comparison.finding)
            found.sums |= {name} if is_sum else set()
            found.checked += comparison.count
            found.calls = places.calls
    except (BudgetSpent, Raised) as stop:
        found.stopped = (str(stop),)
        names = list(trial.gradients)[len(found.findings) :]
        found.findings += [Finding(name, INCONCLUSIVE, note=str(stop)) for name in names]
    return found


def explained(
    setting: Setting,
    findings: list[Finding],
    replay: Replay | None,
    loss: Loss,
    weights: Array,
    right: dict[str, Array],
    rng: np.random.Generator,
) -> tuple[list[Finding], list[str]]:
    """The findings with their causes, and notes that begin with the first wrong place."""
    notes: list[str] = []
    with noting(notes):
        search = partial(causes_or_elsewhere, setting, findings, replay, loss, weights, right, rng)
        found, first = next(spared(lambda: [search()]), (findings, []))
    return found, [*first, *notes]


def causes_or_elsewhere(
    setting: Setting,
    findings: list[Finding],
    replay: Replay | None,
    loss: Loss,
    weights: Array,
    right: dict[str, Array],
    rng: np.random.Generator,
) -> tuple[list[Finding], list[str]]:
    """Causes of what is wrong; where nothing is, what is wrong at other places."""
    is_wrong = any(f.verdict == FAIL for f in findings)
    if replay is None:
        return findings, []
    try:
        if is_wrong:
            return explain(setting, findings, replay, loss, weights, right)
        if all(f.verdict == PASS for f in findings):
            return look_elsewhere(setting, findings, replay, weights, rng)
    except (BudgetSpent, Raised) as stop:
        what = "the causes were not found" if is_wrong else "other places were not all tried"
        return findings, [f"{what}: {stop}"]
    return findings, []


def wide(setting: Setting) -> Array:
    """The batch as differences vary it."""
    x = setting.trial.x
    return x if setting.measured is setting.net else x.astype(np.float64)


def weights_of(losses: Array, reduction: str | None, count: int) -> Array:
    """Of each loss in the scalar; a criterion that gives one number has reduced already."""
    if losses.size != count or reduction == "sum":
        return np.ones(losses.size)
    return np.full(count, 1.0 / max(count, 1))


def replayed(
    setting: Setting, loss: Loss, weights: Array
) -> tuple[Replay | None, dict[str, Array], str]:
    """The network in NumPy and its right gradients; or why there are none."""
    trial = setting.trial
    try:
        found = reproduce(setting.net, trial.x, trial.output)
        if found is None:
            return None, {}, why_not_reproduced(setting.net)
        return found, found.gradients(loss.derivative(found.output) * weights[0]), ""
    except Raised as raised:
        return None, {}, f"no places and causes are told: {raised}"


def whereabouts(finding: Finding) -> str:
    """The layer, its gradient, and the index there: linear_layers[1].dW (0, 2)."""
    place, dot, letter = finding.name.rpartition(".")
    name = f"{place}.d{letter}" if dot else finding.name
    return f"{name} {finding.where}".strip() if finding.verdict == FAIL else finding.where
