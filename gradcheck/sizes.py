"""Other batch sizes: one row, none, odd ones. What is right for one is right for all."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import float_dtype
from gradcheck.budget import BudgetSpent
from gradcheck.diagnose.causes import cause
from gradcheck.protocol import Session
from gradcheck.relations import Broken
from gradcheck.subject import FAULTS, message_of

Array = np.ndarray

SIZES = (1, 2, 7)
"""Rows. Seven leave a tail in loops by 2, 3, 4, 5 or 8."""

VARIED = 0.03
"""By so much, relative, the rows differ that are drawn from x more than once."""


def run(session: Session, known: list[str]) -> list[Broken]:
    """Gradients along a random direction at each size, for arrays not known to be wrong."""
    broken: list[Broken] = []
    x, labels = session.x, session.trial.layer.labels
    if x.ndim < 2 or len(x) < 2 or x.dtype.kind != "f":
        return []
    skipped = {*known, "forward"}
    try:
        for count in SIZES:
            rows = session.rng.integers(0, len(x), count)
            noise = 1 + VARIED * session.rng.standard_normal((count, *x.shape[1:]))
            session.trial.layer.labels = None if labels is None else np.asarray(labels)[rows]
            for one in at_size(session, (x[rows] * noise).astype(x.dtype)):
                if one.name not in skipped:
                    broken.append(one)
                    skipped.add(one.name)
        session.trial.layer.labels = None if labels is None else np.asarray(labels)[:0]
        empty_batch(session)
    except BudgetSpent as spent:
        session.notes.append(f"other batch sizes were not all tried: {spent}")
    except FAULTS as error:
        session.notes.append(f"other batch sizes: {type(error).__name__}: {message_of(error)}")
    finally:
        session.trial.layer.labels = labels
        session.trial.restart()
    return broken


def at_size(session: Session, x: Array) -> Iterator[Broken]:
    """What is wrong for this batch."""
    trial, count = session.trial, len(x)
    inputs = [x, *trial.values]
    try:
        y = trial.forward(x.copy(), *trial.values)
    except FAULTS as error:
        session.notes.append(f"forward refuses a batch of {count}: {type(error).__name__}: {error}")
        return
    if not np.isfinite(y).all():
        session.notes.append(f"forward is not finite for a batch of {count}")
        return
    try:
        dy = np.asarray(session.rng.standard_normal(y.shape), float_dtype(y))
        if trial.layer.ignores_cotangent:
            dy = np.ones_like(dy)
        found = trial.backward(dy.copy(), x.copy(), *trial.values)
    except FAULTS as error:
        note = f"backward raised {type(error).__name__} for a batch of {count}: {error}"
        yield Broken("backward", cause("batch-size-fixed", n=len(session.x), detail=note), note)
        return
    for i, (name, gradient) in enumerate(zip(trial.names, found, strict=True)):
        if gradient is not None:
            yield from compared(session, inputs, dy, i, name, gradient)


def compared(
    session: Session, inputs: list[Array], dy: Array, i: int, name: str, gradient: Array
) -> Iterator[Broken]:
    count, before = len(inputs[0]), len(session.x)
    where = f"for a batch of {count}"
    if gradient.shape != np.shape(inputs[i]):
        note = f"{where} the gradient has shape {gradient.shape}, not {np.shape(inputs[i])}"
        yield Broken(name, cause("batch-size-fixed", n=before, detail=note), note)
        return
    direction = session.rng.choice([-1.0, 1.0], gradient.shape)
    if session.trial.agrees(inputs, dy, i, gradient, direction):
        return
    note = f"right for a batch of {before}, wrong {where}"
    tail = missing_rows(session, inputs, dy, gradient) if i == 0 else 0
    if tail:
        detail = "a loop in blocks without its tail, or one that ends too early"
        found = cause("tail-not-computed", count=tail, axis="along axis 0", detail=detail)
    else:
        found = cause("batch-size-fixed", n=before, detail=f"wrong {where}")
    yield Broken(name, found, note)


def missing_rows(session: Session, inputs: list[Array], dy: Array, gradient: Array) -> int:
    """How many of the last rows of dx are zero and wrong, where all before them are right."""
    trial = session.trial
    rows = gradient.reshape(len(gradient), -1)
    is_right = []
    for k in range(len(rows)):
        direction = np.zeros(inputs[0].shape)
        direction[k] = 1.0
        is_right.append(trial.agrees(inputs, dy, 0, gradient, direction))
    wrong = len(rows) - sum(is_right)
    is_tail = all(is_right[: len(rows) - wrong]) and not rows[len(rows) - wrong :].any()
    return wrong if is_tail else 0


def empty_batch(session: Session) -> None:
    """No rows, no mistake: but worth a note where it is refused."""
    trial = session.trial
    try:
        y = trial.forward(session.x[:0].copy(), *trial.values)
        trial.backward(np.zeros(y.shape), session.x[:0].copy(), *trial.values)
    except FAULTS as error:
        session.notes.append(f"an empty batch raises {type(error).__name__}: {error}")
