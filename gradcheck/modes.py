"""Both modes of a layer: a gradient that is right in training must be right in evaluation, too."""

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnose.causes import cause
from gradcheck.mode import WORDS
from gradcheck.protocol import Session, near, others
from gradcheck.relations import Broken
from gradcheck.subject import FAULTS

Array = np.ndarray


def run(session: Session, known: list[str]) -> list[Broken]:
    """What is wrong in the other mode alone; nothing where the layer has one only.

    Arrays that are `known` to be wrong are left out: what is wrong there is not the mode.
    """
    mode = session.trial.layer.mode
    before = mode.training
    if not mode.exists or before is not None:
        return []  # there is no switch, or the caller has set it
    try:
        return [one for one in gradients_in_both(session) if one.name not in known]
    except FAULTS as error:
        session.notes.append(f"the other mode: {type(error).__name__}: {error}")
        return []
    finally:
        mode.training = before
        session.trial.restart()


def gradients_in_both(session: Session) -> Iterator[Broken]:
    """Each array whose gradient is right in one mode, and wrong in the other."""
    mode = session.trial.layer.mode
    right: dict[bool, list[bool | None]] = {}
    for training in (True, False):
        mode.training = training
        right[training] = are_gradients_right(session)
    mode.training = False
    is_state = bool(mode.attribute or mode.has_methods)  # which backward knows as forward does
    is_meant = is_state or not right[False] or follows_its_forward(session)
    for name, in_training, in_evaluation in zip(
        session.trial.names, right[True], right[False], strict=False
    ):
        if in_training is in_evaluation or in_training is None or in_evaluation is None:
            continue
        used, where = (WORDS[k] for k in (in_training, in_evaluation))
        note = f"right in {used}, wrong in {where}"
        if in_training and not is_meant:
            session.notes.append(f"{name}: after a forward in evaluation, backward does not use it")
            continue
        yield Broken(name, cause("batchnorm-mode-confused", used=used, mode=where), note)


def are_gradients_right(session: Session) -> list[bool | None]:
    """For each array, along a random direction; None where there is no gradient."""
    trial = session.trial
    try:
        y, found = trial.alone(session.x, session.dy)
    except FAULTS:
        session.notes.append("there is no backward after a forward in evaluation")
        return []
    inputs = [session.x, *trial.values]
    answers: list[bool | None] = []
    for i, (gradient, value) in enumerate(zip(found, inputs, strict=True)):
        if gradient is None or not np.isfinite(y).all():
            answers.append(None)
            continue
        fitted = trial.fitted(i, gradient, value, len(session.x))
        if fitted.shape != np.shape(value):
            answers.append(None)
            continue
        direction = session.rng.standard_normal(fitted.shape)
        answers.append(trial.agrees(inputs, session.dy, i, fitted, direction))
    return answers


def follows_its_forward(session: Session) -> bool:
    """Whether backward looks at what the forward in evaluation kept.

    Where it does not, that forward is meant for answers alone, and no backward belongs to it.
    """
    trial = session.trial
    first = trial.alone(session.x, session.dy)[1]
    second = trial.alone(others(session), session.dy)[1]
    if not all(a is None or b is None or near(a, b) for a, b in zip(first, second, strict=True)):
        return True
    mode = trial.layer.mode
    mode.training = True
    in_training = trial.alone(session.x, session.dy)[1]
    mode.training = False
    return not all(
        a is None or b is None or near(a, b) for a, b in zip(first, in_training, strict=True)
    )
