"""Running statistics, and the two modes of a layer that keeps them."""

from collections.abc import Iterator

import numpy as np

from gradcheck.arrays import float_dtype
from gradcheck.averages import MEANS, VARIANCES, Statistics, faults_of_weight, movement
from gradcheck.budget import BudgetSpent
from gradcheck.diagnose.causes import cause
from gradcheck.mode import WORDS
from gradcheck.parameters import Place
from gradcheck.protocol import Session, near, others
from gradcheck.relations import Broken
from gradcheck.subject import FAULTS

Array = np.ndarray


def run(session: Session) -> list[Broken]:
    """Everything about running statistics; nothing where the layer has none."""
    layer = session.trial.layer.target
    mean, variance = (
        next((Place(layer, n) for n in names if isinstance(getattr(layer, n, None), np.ndarray)),
             None) for names in (MEANS, VARIANCES)
    )  # fmt: skip
    if mean is None or variance is None or session.x.ndim < 2 or len(session.x) < 2:
        return []
    before = session.trial.layer.mode.training
    broken: list[Broken] = []
    try:
        for one in tested(session, mean, variance):
            broken.append(one)
    except BudgetSpent as spent:
        session.notes.append(f"running statistics were not all tested: {spent}")
    except FAULTS as error:
        session.notes.append(f"running statistics: {type(error).__name__}: {error}")
    finally:
        session.trial.layer.mode.training = before
        session.trial.restart()
    return broken


def tested(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    mode = session.trial.layer.mode
    mode.training = True if mode.exists else None
    broken = list(updated(session, mean, variance))
    yield from broken
    yield from kept_in_backward(session, mean, variance)
    alone = list(looks_at_the_batch(session, True))
    yield from alone or used_in_training(session, mean, variance)
    if not mode.exists:
        return
    mode.training = False
    still = list(steady(session, mean, variance))
    yield from still
    coupled = list(looks_at_the_batch(session, False))
    yield from coupled
    if not still and not coupled:
        yield from normalised_by_them(session, mean, variance)


def drift(detail: str) -> Broken:
    return Broken("running statistics", cause("running-statistics-drift", detail=detail), detail)


def draw(session: Session, mean: Place, variance: Place) -> tuple[Array, Array]:
    """Statistics that are no batch's, put into the layer."""
    session.trial.restart()
    size = float(session.x.astype(np.float64).std()) or 1.0  # comparable with the batch's
    old_mean = size * session.rng.standard_normal(mean.get().shape)
    old_variance = size**2 * session.rng.uniform(0.5, 2.0, variance.get().shape)
    mean.put(old_mean.astype(float_dtype(mean.get())))
    variance.put(old_variance.astype(float_dtype(variance.get())))
    return np.array(mean.get(), np.float64), np.array(variance.get(), np.float64)


# ---------------------------------------------------------------------- training


def updated(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    """One forward in training moves the statistics towards those of the batch."""
    before = Statistics(*draw(session, mean, variance))
    session.trial.call(session.x.copy())
    after = Statistics(np.array(mean.get()), np.array(variance.get()))
    found = movement(before, after, session.x)
    for fault in (*found.faults, *faults_of_weight(session.trial.layer.target, found.weight)):
        yield drift(fault)
    if found.is_unbiased:
        session.conventions.append(cause("unbiased-running-variance"))


def kept_in_backward(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    """Backward leaves the statistics alone."""
    draw(session, mean, variance)
    session.trial.call(session.x.copy())
    before = np.array(mean.get()), np.array(variance.get())
    session.trial.receive(session.dy.copy())
    if not near(mean.get(), before[0]) or not near(variance.get(), before[1]):
        yield drift("backward changes them")


# ---------------------------------------------------------------------- evaluation


def steady(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    old_mean, old_variance = draw(session, mean, variance)
    session.trial.call(session.x.copy())
    if not near(np.array(mean.get(), np.float64), old_mean) or not near(
        np.array(variance.get(), np.float64), old_variance
    ):
        yield drift("evaluation updates them")


def looks_at_the_batch(session: Session, is_training: bool) -> Iterator[Broken]:
    """In training the rows of a batch depend on each other; in evaluation they do not."""
    x, other = session.x, others(session)
    other[0] = x[0]
    session.trial.restart()
    first = np.array(session.trial.call(x.copy()))[0]
    session.trial.restart()
    second = np.array(session.trial.call(other))[0]
    if near(first, second) != is_training:
        return
    used, mode = WORDS[not is_training], WORDS[is_training]
    note = f"in {mode}, forward normalises with the statistics of {used}"
    yield Broken("forward", cause("batchnorm-mode-confused", used=used, mode=mode), note)


def used_in_training(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    """In training the output does not depend on the running statistics."""
    outputs = []
    for _ in range(2):
        draw(session, mean, variance)
        outputs.append(np.array(session.trial.call(session.x.copy())))
    if not near(*outputs):
        note = "in training, forward normalises with the running statistics"
        confused = cause("batchnorm-mode-confused", used=WORDS[False], mode=WORDS[True])
        yield Broken("forward", confused, note)


def normalised_by_them(session: Session, mean: Place, variance: Place) -> Iterator[Broken]:
    """In evaluation y is affine in (x − running_mean)/√(running_var + eps), with γ and β."""
    layer = session.trial.layer.target
    gamma, beta = getattr(layer, "gamma", None), getattr(layer, "beta", None)
    if session.x.ndim != 2 or not all(isinstance(a, np.ndarray) for a in (gamma, beta)):
        return
    m, v = draw(session, mean, variance)
    y = np.array(session.trial.call(session.x.copy()))
    assert gamma is not None
    assert beta is not None
    centred = session.x - m
    formulas = {
        "": gamma * centred / np.sqrt(v) + beta,
        "divides by the variance, not its root": gamma * centred / v + beta,
        "does not subtract running_mean": gamma * session.x / np.sqrt(v) + beta,
        "does not apply γ": centred / np.sqrt(v) + beta,
        "does not add β": gamma * centred / np.sqrt(v),
        "does not apply γ and β": centred / np.sqrt(v),
        "does not divide by √running_var": gamma * centred + beta,
    }
    scale = float(abs(y).max(initial=0)) or 1.0
    errors = {name: float(abs(f - y).max(initial=0)) / scale for name, f in formulas.items()}
    best = min(errors, key=lambda name: errors[name])
    if best and errors[best] < 1e-3 and errors[""] > 1e-2:
        yield drift(f"evaluation {best}")
