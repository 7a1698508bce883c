"""What a network must keep between calls, whatever its gradients are.

forward and backward leave the batch, the targets and the parameters as they are; running
statistics move in training, and only there; the loss stands logits of any size.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.averages import MEANS, VARIANCES, Statistics, faults_of_weight, movement
from gradcheck.diagnose.causes import cause
from gradcheck.invariants import SHIFT
from gradcheck.mode import WORDS, Mode, mode_of
from gradcheck.network.drive import (
    called,
    gradients_of,
    output_at,
    parameter_values,
    preserved,
)
from gradcheck.network.losses import kind_of
from gradcheck.network.replay import BatchNormStep, Replay, reproduce
from gradcheck.relations import Broken
from gradcheck.state import Snapshot
from gradcheck.subject import FAULTS, Raised, same

Array = np.ndarray

SAME_OUTPUT = {4: 1e-4, 8: 1e-9}
"""By item size, relative: how near two outputs of one sample are if they are meant to be one."""

STATISTICS, EVALUATION = "running statistics", "evaluation mode"
"""Rules of batchnorm, as they are told."""

SMALL_SHIFTS = (1.0, -3.0)
"""Of all logits, to see whether a loss of unknown name is one of their differences alone."""


def broken_rules(
    net: Any, x: Array, labels: Array, replay: Replay | None, rng: np.random.Generator
) -> tuple[list[Broken], list[str]]:
    """Every rule that is broken, and a note of each that could not be tested."""
    tests: tuple[tuple[str, Callable[[], Iterator[Broken]]], ...] = (
        ("arguments and parameters", lambda: left_alone(net, x, labels)),
        (STATISTICS, lambda: running_statistics(net, x, replay, rng)),
        ("large logits", lambda: large_logits(net, x, labels)),
    )
    broken: list[Broken] = []
    notes = []
    for title, test in tests:
        try:
            with as_it_was(net):
                broken += test()
        except (Raised, *FAULTS) as error:
            notes.append(f"{title} were not tested: {error}")
    return broken, notes


@contextmanager
def as_it_was(net: Any) -> Iterator[None]:
    """Puts everything back that can be reached from the network, its mode included."""
    kept = Snapshot(net)
    try:
        with preserved(net):
            yield
    finally:
        kept.restore()


# ---------------------------------------------------------------------- what is not theirs


def left_alone(net: Any, x: Array, labels: Array) -> Iterator[Broken]:
    """x and the targets stay as they are, and only a step changes parameters."""
    called(net, "zero_grads")
    given = {"x": x.copy(), "labels": labels.copy()}
    before = parameter_values(net)
    for call, argument in (("forward", "x"), ("backward", "labels")):
        called(net, call, given[argument])
        for name, value in (("x", x), ("labels", labels)):
            if not same(given[name], value):
                given[name] = value.copy()
                note = f"{call} changes its argument {name} in place"
                yield Broken(name, cause("input-modified", call=call, name=name), note)
        after = parameter_values(net)
        for name in after:
            if not same(after[name], before[name]):
                note = f"{call} changes the parameter {name}"
                yield Broken(name, cause("parameter-modified", call=call, name=name), note)
        before = after


# ---------------------------------------------------------------------- running statistics


def running_statistics(
    net: Any, x: Array, replay: Replay | None, rng: np.random.Generator
) -> Iterator[Broken]:
    """In training they move as averages of the batches; in evaluation they are still."""
    layers = statistics_of(net)
    if not layers or len(x) < 2:
        return
    mode = mode_of(net, net.forward)
    for i, (mean, variance) in layers.items():
        step = trained_step(replay, i)
        if step is not None:
            yield from averaged(net, x, i, (mean, variance), step, rng)
    if not is_heard(net, x, mode, layers, rng):
        return
    mode.training = False
    still = [one for i, n in layers.items() for one in steady(net, x, mode, i, n, rng)]
    yield from still or apart(net, x, mode)


def statistics_of(net: Any) -> dict[int, tuple[str, str]]:
    """The names of the running mean and variance, for each batchnorm that keeps both."""
    return {
        i: (mean, variance)
        for i, layer in enumerate(getattr(net, "bn_layers", ()))
        for mean, variance in [(held(layer, MEANS), held(layer, VARIANCES))]
        if mean and variance
    }


def untested_rules(net: Any, x: Array, rng: np.random.Generator) -> list[str]:
    """Rules of batchnorm that cannot be tested, as a network gives no means to."""
    layers = statistics_of(net)
    found = []
    with as_it_was(net):
        replay = reproduce(net, x, output_at(net, x))
        if not layers or any(trained_step(replay, i) is None for i in layers):
            found.append(STATISTICS)
        if not layers or not is_heard(net, x, mode_of(net, net.forward), layers, rng):
            found.append(f"{EVALUATION}, to which there is no switch")
    return found


def is_heard(
    net: Any, x: Array, mode: Mode, layers: dict[int, tuple[str, str]], rng: np.random.Generator
) -> bool:
    """Whether there is a switch to evaluation; a mere attribute may be that of something else."""
    if not mode.exists or mode.has_methods or mode.argument:
        return mode.exists
    outputs = []
    for mode.training in (True, False):
        for i, names in layers.items():
            drawn(net.bn_layers[i], names, x.astype(np.float64), rng)
        outputs.append(evaluated(net, x, mode))
    return not same(*outputs)


def held(layer: Any, names: tuple[str, ...]) -> str:
    return next((n for n in names if isinstance(getattr(layer, n, None), np.ndarray)), "")


def trained_step(replay: Replay | None, i: int) -> BatchNormStep | None:
    """The batchnorm as it ran, where that was in training."""
    steps = () if replay is None or replay.form.is_running else replay.steps
    return next((s for s in steps if isinstance(s, BatchNormStep) and s.index == i), None)


def drift(i: int, detail: str) -> Broken:
    what = cause("running-statistics-drift", detail=detail)
    return Broken(f"bn_layers[{i}] running statistics", what, detail)


def averaged(
    net: Any,
    x: Array,
    i: int,
    names: tuple[str, str],
    step: BatchNormStep,
    rng: np.random.Generator,
) -> Iterator[Broken]:
    """In training, new = α·old + (1 − α)·batch."""
    layer = net.bn_layers[i]
    before = drawn(layer, names, step.x, rng)
    output = output_at(net, x)
    after = statistics_in(layer, names)
    given = step.x.astype(output.dtype) if output.dtype.kind == "f" else step.x
    found = movement(before, after, given)
    for fault in (*found.faults, *faults_of_weight(layer, found.weight)):
        yield drift(i, fault)


def statistics_in(layer: Any, names: tuple[str, str]) -> Statistics:
    return Statistics(*(np.array(getattr(layer, name)) for name in names))


def drawn(layer: Any, names: tuple[str, str], x: Array, rng: np.random.Generator) -> Statistics:
    """Statistics that are no batch's, put into the layer; of the size of x."""
    size = float(x.std()) or 1.0
    mean, variance = (getattr(layer, name) for name in names)
    mean[...] = size * rng.standard_normal(mean.shape)
    variance[...] = size**2 * rng.uniform(0.5, 2.0, variance.shape)
    kept = statistics_in(layer, names)
    return Statistics(kept.mean.astype(np.float64), kept.variance.astype(np.float64))


def steady(
    net: Any, x: Array, mode: Mode, i: int, names: tuple[str, str], rng: np.random.Generator
) -> Iterator[Broken]:
    """A forward in evaluation leaves them as they are."""
    before = drawn(net.bn_layers[i], names, x.astype(np.float64), rng)
    evaluated(net, x, mode)
    after = statistics_in(net.bn_layers[i], names)
    if not same(after.mean, before.mean) or not same(after.variance, before.variance):
        yield drift(i, "evaluation updates them")


def apart(net: Any, x: Array, mode: Mode) -> Iterator[Broken]:
    """In evaluation the output of a sample does not depend on the other samples."""
    other = x.copy()
    other[1:] = x[:0:-1] * 0.5 + 0.25 if x.dtype.kind == "f" else x[:1]
    first, second = (evaluated(net, batch, mode)[0] for batch in (x, other))
    close = SAME_OUTPUT.get(first.dtype.itemsize, SAME_OUTPUT[8])
    if abs(first - second).max(initial=0) > close * abs(first).max(initial=0):
        used, word = WORDS[True], WORDS[False]
        note = f"in {word}, forward normalises with the statistics of {used}"
        yield Broken("forward", cause("batchnorm-mode-confused", used=used, mode=word), note)


def evaluated(net: Any, x: Array, mode: Mode) -> Array:
    """The output in evaluation."""
    mode.apply()
    keywords = mode.keywords()
    return np.asarray(net.forward(x.copy(), **keywords)) if keywords else output_at(net, x)


# ---------------------------------------------------------------------- the loss


def large_logits(net: Any, x: Array, labels: Array) -> Iterator[Broken]:
    """A cross-entropy does not see all logits shifted by 1000, where exp overflows.

    The last bias shifts them, where nothing follows it.
    """
    criterion = getattr(net, "criterion", None)
    bias = net.linear_layers[-1].b
    output = output_at(net, x)
    if bias.dtype.kind != "f" or not sees_no_shift(criterion, output, labels):
        return
    kept = bias.copy()
    for shift in (SHIFT, -SHIFT):
        bias[...] = kept + shift
        moved = output_at(net, x)
        if abs(moved - output - shift).max(initial=0) > 1:
            return  # an activation follows, or no bias is added
        values = [*gradients_of(net, x, labels).values(), *loss_of(criterion, moved, labels)]
        if not all(np.isfinite(value).all() for value in values):
            note = f"not finite at logits {shift:+g}, where loss and gradient should be as here"
            yield Broken("criterion", cause("max-shift-missing"), note)
            return


def sees_no_shift(criterion: Any, output: Array, labels: Array) -> bool:
    """Whether the loss is a function of the differences of logits: by its name, or by trial."""
    kind = kind_of(criterion)
    if kind != "own":
        return kind == "cross-entropy"
    losses = [loss_of(criterion, output + shift, labels) for shift in (0.0, *SMALL_SHIFTS)]
    if not all(losses):
        return False
    (first,), *others = losses
    close = SAME_OUTPUT.get(first.dtype.itemsize, SAME_OUTPUT[8])
    size = 1 + float(abs(first).max(initial=0)) + float(abs(output).max(initial=0))
    return all(abs(other - first).max(initial=0) <= close * size for (other,) in others)


def loss_of(criterion: Any, output: Array, labels: Array) -> list[Array]:
    """The loss that the criterion itself gives, where it gives one."""
    try:
        value = np.asarray(criterion.forward(output.copy(), labels.copy()))
    except FAULTS:
        return []
    return [value] if value.dtype.kind == "f" else []
