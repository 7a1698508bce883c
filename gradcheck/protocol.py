"""Protocol: what a layer must keep between calls, whatever it computes.

Each test makes a sequence of calls on the layer as it is, and yields what is broken. A layer
may keep a reference to its input, or return the array that it keeps: that is common, and right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.budget import BudgetSpent
from gradcheck.diagnose.causes import cause
from gradcheck.points import elsewhere
from gradcheck.relations import Broken
from gradcheck.subject import FAULTS
from gradcheck.trial import Trial, held
from gradcheck.verdict import Cause

Array = np.ndarray

NEAR = {4: 1e-4, 8: 1e-9}
"""By item size, relative to the largest entry: how far two answers to the same question may be
apart. They are mostly the same bits."""

NEITHER = 0.95
"""The match of a stale cache where the gradient is not that of an earlier call, either: what was
never written, or is random, does that as well."""


@dataclass
class Session:
    """What the tests are given, and what they may note beside what is broken.

    Attributes
    ----------
    accumulate : True where a second backward must add to the gradients, False where it must
        not, None where the layer's zero_grad says so.
    """

    trial: Trial
    x: Array
    dy: Array
    rng: np.random.Generator
    accumulate: bool | None = None
    notes: list[str] = field(default_factory=list)
    conventions: list[Cause] = field(default_factory=list)


def run(session: Session) -> list[Broken]:
    """All tests of the protocol; one that cannot be made says why in a note."""
    broken: list[Broken] = []
    for test in TESTS:
        session.trial.restart()
        try:
            for one in test(session):
                if one.name not in {b.name for b in broken} and not (
                    broken and one.name == "backward"
                ):
                    broken.append(one)
        except BudgetSpent:
            break
        except FAULTS as error:
            name = test.__name__.replace("_", " ")
            session.notes.append(f"{name}: {type(error).__name__}: {error}")
    session.trial.restart()
    return broken


def near(a: Any, b: Any) -> bool:
    """The same numbers, but for rounding; None is None."""
    if a is None or b is None:
        return a is b
    if a.shape != b.shape:
        return False
    scale = float(abs(b[np.isfinite(b)]).max(initial=0))
    tolerance = NEAR.get(b.dtype.itemsize, 0.0) * scale
    return bool((abs(a - b) <= tolerance).all() or np.array_equal(a, b, equal_nan=True))


def others(session: Session) -> Array:
    """Another input of the same shape."""
    return np.asarray(elsewhere([session.x], session.rng, 0.9)[0])


# ---------------------------------------------------------------------- caches


def cache_of_the_last_forward(session: Session) -> Iterator[Broken]:
    """forward(x1), forward(x2), backward(dy) gives the gradients of x2."""
    trial, x, dy, x2 = session.trial, session.x, session.dy, others(session)
    _, first = trial.alone(x, dy)
    y, expected = trial.alone(x2, dy)
    trial.restart()
    trial.layer.zero()
    trial.call(x.copy())
    again = np.array(trial.call(x2.copy()))
    if not near(again, y):
        session.notes.append("what forward gives depends on the forward before it")
        return
    found = held(trial.receive(dy.copy()))
    for name, a, b, old in zip(trial.names, found, expected, first, strict=True):
        if not near(a, b):
            is_old = near(a, old)
            which = "after two forwards it gives the gradient of "
            which += "the first" if is_old else "neither"
            match = 1.0 if is_old else NEITHER
            yield Broken(name, cause("stale-cache", match, detail=which), which)


def cache_filled_again(session: Session) -> Iterator[Broken]:
    """A second round, forward and backward, is as good as the first."""
    trial, x, dy, x2 = session.trial, session.x, session.dy, others(session)
    y, expected = trial.alone(x2, dy)
    for title, between in (("", x), (" with another batch size", x[: max(len(x) // 2, 1)])):
        if title and len(between) == len(x):
            continue
        trial.restart()
        trial.layer.zero()
        weights = dy[: len(between)] if dy.ndim else dy
        trial.call(between.copy())
        trial.receive(weights.copy())
        trial.layer.zero()
        what = f"wrong after a round{title}"
        try:
            if not near(np.array(trial.call(x2.copy())), y):
                return  # forward itself remembers, as noted
            found = held(trial.receive(dy.copy()))
        except FAULTS as error:
            note = f"{what}: {type(error).__name__}: {error}"
            yield Broken("backward", cause("stale-cache", detail=note), note)
            return
        for name, a, b in zip(trial.names, found, expected, strict=True):
            if not near(a, b) and not is_sum(session, a, b):
                yield Broken(name, cause("stale-cache", NEITHER, detail=what), what)


def is_sum(session: Session, found: Any, expected: Any) -> bool:
    """Gradients that were not cleared are another mistake, with a test of its own."""
    layer = session.trial.layer
    return found is not None and expected is not None and layer.zeroing is not None and not near(
        found, expected
    ) and not zero_clears(session)  # fmt: skip


def zero_clears(session: Session) -> bool:
    """Whether the layer's zero_grad makes a second backward give the first one's gradients."""
    trial, x, dy = session.trial, session.x, session.dy
    _, first = trial.alone(x, dy)
    trial.layer.zero()
    trial.call(x.copy())
    second = held(trial.receive(dy.copy()))
    return all(near(a, b) for a, b in zip(second[1:], first[1:], strict=True))


# ---------------------------------------------------------------------- gradient buffers


def gradients_added_or_written(session: Session) -> Iterator[Broken]:
    """Two backwards: the sum where the caller clears gradients, the same where nobody does."""
    trial, dy = session.trial, session.dy
    trial.layer.zero()
    y = np.array(trial.call(session.x.copy()))
    first = held(trial.receive(dy.copy()))
    if not near(np.array(trial.call(session.x.copy())), y):
        return  # forward itself remembers: the test of caches says so
    second = held(trial.receive(dy.copy()))
    adds = session.accumulate or adds_some(session, first, second)
    for i, (name, a, b) in enumerate(zip(trial.names, first, second, strict=True)):
        if a is None or b is None or a.shape != b.shape or not abs(a).max(initial=0):
            continue
        may_add = i > 0 and not must_write(session)
        if not near(b, a) and not (may_add and near(b, 2 * a)):
            ratio = float((b * a).sum() / (a * a).sum())
            detail = f"{ratio:.3g} times the first" if near(b, ratio * a) else "another one"
            yield Broken(
                name,
                cause("accumulates-into-stale-buffer", detail=detail),
                "a second round, with nothing cleared between, gives another gradient",
            )
        elif near(b, a) and i and adds:
            yield Broken(
                name, cause("overwrites-instead-of-accumulating"), "the second backward overwrites"
            )
    if trial.layer.zeroing is not None:
        yield from uncleared(session, first)


def adds_some(session: Session, first: list[Any], second: list[Any]) -> bool:
    """Whether a gradient of a parameter is added up, where that is allowed: so all must be."""
    pairs = [(a, b) for a, b in zip(first[1:], second[1:], strict=True) if np.any(a)]
    return not must_write(session) and any(near(b, 2 * a) for a, b in pairs)


def must_write(session: Session) -> bool:
    if session.accumulate is not None:
        return not session.accumulate
    return session.trial.layer.zeroing is None


def uncleared(session: Session, first: list[Any]) -> Iterator[Broken]:
    """Gradients that the layer's zero_grad does not clear."""
    trial = session.trial
    trial.layer.zero()
    trial.call(session.x.copy())
    third = held(trial.receive(session.dy.copy()))
    for name, a, b in zip(trial.names[1:], first[1:], third[1:], strict=True):
        if a is not None and b is not None and not near(b, a):
            detail = f"more than the first, though {trial.layer.zeroing}() was called between"
            yield Broken(name, cause("accumulates-into-stale-buffer", detail=detail), detail)


# ---------------------------------------------------------------------- aliases


def returned_arrays_stay(session: Session) -> Iterator[Broken]:
    """What was returned is still there after backward, and after the next round."""
    trial, x2 = session.trial, others(session)
    trial.layer.zero()
    y = trial.call(session.x.copy())
    is_ours = isinstance(y, np.ndarray) and trial.layer.gives_output
    kept = np.array(y)
    dx = trial.receive(session.dy.copy())[0]
    if is_ours and not near(y, kept):
        yield aliased("forward", "backward overwrites the output that forward returned")
        return
    gives_dx = isinstance(dx, np.ndarray) and trial.layer.gives_dx
    kept_dx = None if dx is None else np.array(dx)
    trial.call(x2)
    if is_ours and not near(y, kept):
        yield aliased("forward", "the output that forward returned changes at the next forward")
    if gives_dx and not near(dx, kept_dx):
        yield aliased("x", "the dx that backward returned changes at the next forward")
        return
    trial.receive(np.asarray(1.5 * session.dy, session.dy.dtype))
    if gives_dx and not near(dx, kept_dx):
        yield aliased("x", "the dx that backward returned changes at the next backward")


def aliased(name: str, detail: str) -> Broken:
    return Broken(name, cause("cache-aliased", detail=detail), detail)


def parameters_stay(session: Session) -> Iterator[Broken]:
    """Only a step changes parameters, not forward and not backward."""
    trial = session.trial
    before = trial.layer.values()
    trial.call(session.x.copy())
    for call in ("forward", "backward"):
        if call == "backward":
            trial.receive(session.dy.copy())
        for name, a, b in zip(trial.names[1:], before, trial.layer.values(), strict=True):
            if not near(b, a):
                note = f"{call} changes the parameter {name}"
                yield Broken(name, cause("parameter-modified", call=call, name=name), note)
                return


def backward_draws_no_numbers(session: Session) -> Iterator[Broken]:
    """Two backwards after one forward: a mask is kept, not drawn again."""
    trial = session.trial
    trial.layer.zero()
    trial.call(session.x.copy())
    a, b = (held(trial.receive(session.dy.copy()))[0] for _ in range(2))
    if a is None or near(a, b) or near(b, 2 * a):
        return
    trial.restart()
    trial.call(session.x.copy())
    trial.snapshot.restore_generators()
    one = held(trial.receive(session.dy.copy()))[0]
    trial.snapshot.restore_generators()
    other = held(trial.receive(session.dy.copy()))[0]
    if near(one, other):
        note = "backward draws random numbers of its own: keep those of forward"
        yield Broken("x", cause("not-deterministic", call="backward"), note)
    else:
        session.notes.append("backward uses up what forward kept: a second one gives another dx")


# ---------------------------------------------------------------------- dead ends


def gradient_goes_on(session: Session) -> Iterator[Broken]:
    """Neither dx nor a gradient is zero or missing where the output depends on the array."""
    trial = session.trial
    y, found = trial.alone(session.x, session.dy)
    inputs = [session.x, *trial.values]
    for i, (name, gradient) in enumerate(zip(trial.names, found, strict=True)):
        if gradient is None and i == 0:
            session.notes.append("backward gives no dx: the gradient of x is not checked")
        elif gradient is None:
            what = f"backward leaves no gradient of {name}"
            yield Broken(name, cause("gradient-stops", where=name), what)
        elif not np.any(gradient) and depends(session, inputs, i):
            what = f"the gradient of {name} is zero, but the output depends on {name}"
            yield Broken(name, cause("gradient-stops", where=name), what)
    note_dead_units(session, y)


def depends(session: Session, inputs: list[Any], i: int) -> bool:
    """Whether Σ dy·y changes along a random direction of input i."""
    direction = session.rng.standard_normal(np.shape(inputs[i]))
    estimate = session.trial.slope(inputs, session.dy, i, direction)
    size = float(abs(session.dy).max(initial=0))
    return estimate.is_finite and abs(estimate.value) > max(8 * estimate.error_bar, 1e-6 * size)


FEWEST = 4
"""Rows below which a unit may be zero everywhere by chance."""


def note_dead_units(session: Session, y: Array) -> None:
    if y.ndim != 2 or len(y) < FEWEST:
        return
    dead = ~np.any(y, axis=0)
    if dead.any() and not dead.all():
        count, total = int(dead.sum()), y.shape[1]
        session.conventions.append(cause("dead-unit", count=count, total=total))


Test = Callable[[Session], Iterator[Broken]]

TESTS: tuple[Test, ...] = (
    parameters_stay,
    gradients_added_or_written,
    cache_of_the_last_forward,
    cache_filled_again,
    returned_arrays_stay,
    backward_draws_no_numbers,
    gradient_goes_on,
)
