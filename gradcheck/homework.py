"""A whole homework: the toy's published numbers, then networks on random data, layer by layer.

What the homework raises is part of the report, with its line; what it prints goes to stderr.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.budget import BUDGET, BudgetSpent, limited
from gradcheck.course import (
    ACTIVATION_CLASSES,
    TargetError,
    companion,
    network_class,
    opened,
    require_layers,
    told,
)
from gradcheck.diagnose.causes import cause
from gradcheck.layer import quiet
from gradcheck.network import check_network
from gradcheck.network.protocol import EVALUATION, STATISTICS, untested_rules
from gradcheck.printed import to_stderr
from gradcheck.source import Source
from gradcheck.subject import FAULTS
from gradcheck.toycheck import ToyResult, run_toy
from gradcheck.verdict import FAIL, INCONCLUSIVE, PASS, Finding, Report, worst

Array = np.ndarray

WIDTHS = (6, 5, 5, 4)
"""Of the networks on random data. Two layers are square: a transposed weight shows there only
by its numbers."""

BATCH = 9
"""Samples: no width, so that no axis can be taken for another."""

MOMENTUM = 0.9
RATE = 0.05

CASES = tuple((name, bn) for bn in (0, 2) for name in ACTIVATION_CLASSES)
"""The activation, and how many layers have batchnorm; without the classes, there is no case."""

STEP = "step()"

TRIES = 20
"""Draws of weights, until no unit is dead or always on."""


@dataclass(frozen=True)
class HomeworkResult:
    """The toy, and a report of each network.

    Attributes
    ----------
    toy : None where it could not be run; `problems` says why.
    problems : a finding for whatever was raised outside the networks' checks.
    untested : rules of batchnorm that could not be tested.
    """

    target: str
    seed: int
    toy: ToyResult | None = None
    reports: tuple[Report, ...] = ()
    problems: tuple[Finding, ...] = field(default=())
    untested: tuple[str, ...] = field(default=())

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What nothing here looks at."""
        found = list(self.untested)
        step = next((r for r in self.reports if r.title == STEP), None)
        if step is None:
            found.append(f"{STEP}, which the class has not")
        elif not any(f.name.startswith("bn_layers") for f in step.findings):
            found.append(f"gamma and beta in {STEP}")
        return tuple(found)

    @property
    def verdict(self) -> str:
        verdicts = [report.verdict for report in self.reports]
        verdicts += [finding.verdict for finding in self.problems]
        return worst(verdicts + ([self.toy.verdict] if self.toy is not None else []))


def run_homework(
    target: str, seed: int = 0, budget: float | None = BUDGET, source: Source | None = None
) -> HomeworkResult:
    """Check a homework with the course's interface; `source` is the target, imported already.

    Raises
    ------
    TargetError : where the target names nothing, or nothing that is a network.
    """
    with to_stderr(), quiet(), limited(budget):
        try:
            source = source or opened(target)
        except TargetError as error:
            if error.__cause__ is None:
                raise
            return HomeworkResult(target, seed, problems=(raised("importing it", error.__cause__),))
        except BudgetSpent as spent:
            return HomeworkResult(target, seed, problems=(cut_short("importing it", spent),))
        network_class(source)
        if all(source.find(name) is None for name in ACTIVATION_CLASSES.values()):
            names = ", ".join(ACTIVATION_CLASSES.values())
            raise TargetError(f"target {target}: there is none of {names} beside it")
        toy, problems = the_toy(source, seed)
        reports = tuple(networks(source, seed))
        unseen = tuple(untested(source, seed))
    return HomeworkResult(target, seed, toy, reports, problems, unseen)


def raised(call: str, error: BaseException) -> Finding:
    message = told(error)
    return Finding(call, FAIL, note=message, causes=(cause("raised", call=call, error=message),))


def cut_short(call: str, spent: BudgetSpent) -> Finding:
    return Finding(call, INCONCLUSIVE, note=str(spent))


def the_toy(source: Source, seed: int) -> tuple[ToyResult | None, tuple[Finding, ...]]:
    if source.find(ACTIVATION_CLASSES["relu"]) is None:
        return None, ()
    try:
        return run_toy(source, seed=seed), ()
    except BudgetSpent as spent:
        return None, (cut_short("the toy", spent),)
    except TargetError as error:
        return None, (raised("the toy", error.__cause__ or error),)
    except FAULTS as error:
        return None, (raised("the toy", error),)


def networks(source: Source, seed: int) -> Iterator[Report]:
    """A report of each case, and one of the optimiser's step."""
    for activation, batchnorm in CASES:
        needed = [ACTIVATION_CLASSES[activation], *(["BatchNorm"] if batchnorm else [])]
        if any(source.find(name) is None for name in needed):
            continue
        title = f"{activation}{' + batchnorm' if batchnorm else ''}"
        try:
            with source.at_home():
                net, x, labels = random_network(source, activation, batchnorm, seed)
                yield check_network(net, x, labels, seed, title=title, budget=None)
        except BudgetSpent as spent:
            yield Report(title, seed, (cut_short("making and running it", spent),))
        except FAULTS as error:
            yield Report(title, seed, (raised("making and running it", error),))
    yield from steps(source, seed)


def untested(source: Source, seed: int) -> list[str]:
    """Rules of batchnorm that a network of theirs gives no means to test."""
    activation = next(n for n, name in ACTIVATION_CLASSES.items() if source.find(name))
    if source.find("BatchNorm") is None:
        return []
    try:
        with source.at_home():
            net, x, _ = random_network(source, activation, 2, seed)
            return untested_rules(net, x, np.random.default_rng(seed))
    except (BudgetSpent, *FAULTS):  # told by the networks' own reports
        return [STATISTICS, EVALUATION]


def steps(source: Source, seed: int) -> Iterator[Report]:
    """The update by momentum, where a network has step() and there is a check of it."""
    name = "gradcheck.update"
    if not callable(getattr(source.value, "step", None)) or not importlib.util.find_spec(name):
        return
    check_update = importlib.import_module(name).check_update
    try:
        with source.at_home():
            net = network_to_step(source, seed)
            yield check_update(net, "momentum", seed, STEP, lr=RATE, momentum=MOMENTUM)
    except BudgetSpent as spent:
        yield Report(STEP, seed, (cut_short(STEP, spent),))
    except FAULTS as error:
        yield Report(STEP, seed, (raised(STEP, error),))


def network_to_step(source: Source, seed: int) -> Any:
    """With batchnorm, where there is one, and with gradients in all layers."""
    activation = [n for n, name in ACTIVATION_CLASSES.items() if source.find(name)][-1]
    for batchnorm in (2, 0) if source.find("BatchNorm") else (0,):
        try:
            net, x, labels = random_network(source, activation, batchnorm, seed)
            net.forward(x)
            net.backward(labels)
            return net
        except FAULTS:  # told by the networks' own reports
            continue
    return random_network(source, activation, 0, seed)[0]


def random_network(
    source: Source, activation: str, batchnorm: int, seed: int
) -> tuple[Any, Array, Array]:
    """A network of theirs with random parameters, and a batch with one-hot targets."""
    rng = np.random.default_rng([seed, len(activation), batchnorm])
    weights, biases, x = draw(rng)
    next_weights, next_biases = iter(weights), iter(biases)
    first, *hiddens, last = WIDTHS
    hidden = companion(source, ACTIVATION_CLASSES[activation])
    final = source.find("Identity") or hidden
    net = network_class(source)(
        first,
        last,
        list(hiddens),
        [*(hidden() for _ in hiddens), final()],
        lambda n_in, n_out: next(next_weights).copy(),
        lambda n_out: next(next_biases).copy(),
        companion(source, "SoftmaxCrossEntropy")(),
        RATE,
        momentum=MOMENTUM,
        num_bn_layers=batchnorm,
    )
    require_layers(net, source, batchnorm)
    for layer in getattr(net, "bn_layers", None) or ():
        shape = np.shape(layer.gamma)
        layer.gamma = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
        layer.beta = 0.4 * rng.standard_normal(shape)
    return net, x, np.eye(last)[rng.integers(0, last, BATCH)]


def draw(rng: np.random.Generator) -> tuple[list[Array], list[Array], Array]:
    """Weights, biases and inputs with which every unit is on for some samples, off for others."""
    for _ in range(TRIES):
        weights = [rng.standard_normal((a, b)) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)]
        biases = [0.3 * rng.standard_normal((1, n)) for n in WIDTHS[1:]]
        x = rng.standard_normal((BATCH, WIDTHS[0]))
        value, is_mixed = x, True
        for w, b in zip(weights, biases, strict=True):
            z = value @ w + b
            is_mixed &= bool(((z > 0).any(axis=0) & (z < 0).any(axis=0)).all())
            value = np.maximum(z, 0)
        if is_mixed:
            break
    return weights, biases, x


def passed(result: HomeworkResult) -> bool:
    return result.verdict == PASS
