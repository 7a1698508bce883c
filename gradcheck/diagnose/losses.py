"""Losses and softmaxes as data: the value, the gradient, and the wrong gradients known.

z is what the loss is taken of, t the targets, both with a row for each sample. A value has one
number a row, or one an entry. All gradients are those of the plain sum of the values.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
Of = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Wrong:
    """A wrong gradient: its slug, formula, and the fields of the sentence."""

    slug: str
    gradient: Of
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """A loss: `gradient` is the right one."""

    name: str
    value: Of
    gradient: Of
    wrong: tuple[Wrong, ...]
    takes: str = "any"
    """Its domain: "any" numbers or "probabilities"."""


def softmax(z: Array, axis: int = -1) -> Array:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def logsumexp(z: Array) -> Array:
    top = z.max(axis=-1)
    return np.asarray(top + np.log(np.exp(z - top[..., None]).sum(axis=-1)))


def sigmoid(z: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def self_entropy(t: Array) -> Array:
    """Σ y·log y, with nothing where y is zero."""
    logs = np.log(t, out=np.zeros(t.shape), where=t > 0)
    return np.asarray((t * logs).sum(axis=-1))


def total(t: Array) -> Array:
    return np.asarray(t.sum(axis=-1, keepdims=True))


OVER = "dz = softmax(z) − y"
"""The formula that was probably meant."""


def wrong_logits(other: Of, is_linear: bool) -> tuple[Wrong, ...]:
    """The mistakes of a softmax cross-entropy; `other` is the gradient of its sister."""
    found = [
        Wrong("one-hot-not-subtracted", lambda z, t: softmax(z)),
        *(of_the_class_beside(k) for k in (1, -1)),
        Wrong(
            "one-hot-not-subtracted",
            lambda z, t: softmax(z) - 1,
            {"formula": f"1 is subtracted from every class; {OVER}"},
        ),
        Wrong("targets-not-normalised", other),
        Wrong(
            "swapped-gradients",
            lambda z, t: softmax(t) - z,
            {"other": "the loss of y and z for z, y"},
        ),
        Wrong("softmax-wrong-axis", lambda z, t: softmax(z, 0) - t),
        Wrong("gradient-at-probabilities", lambda z, t: -t / softmax(z), {"formula": OVER}),
        Wrong(
            "derivative-taken-twice",
            lambda z, t: (softmax(z) - t) * softmax(z) * (1 - softmax(z)),
            {"function": "softmax"},
        ),
        Wrong("derivative-taken-twice", twice, {"function": "softmax"}),
        Wrong(
            "loss-half-missing",
            lambda z, t: t * (softmax(z) - t),
            {"formula": f"only the entry of the right class is written; {OVER}"},
        ),
        Wrong(
            "loss-half-missing",
            lambda z, t: -t,
            {"formula": f"that of the log of the sum of exponentials; {OVER}"},
        ),
        Wrong("gradient-of-another-loss", lambda z, t: z - t, {"detail": f"z − y; {OVER}"}),
        Wrong(
            "gradient-of-another-loss",
            lambda z, t: sigmoid(z) - t,
            {"detail": f"σ(z) − y, of a sigmoid for each class; {OVER}"},
        ),
        Wrong(
            "label-smoothing-mismatch",
            lambda z, t: softmax(z) - (t == t.max(axis=-1, keepdims=True)),
        ),
        Wrong(
            "max-shift-missing",
            lambda z, t: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True) - t,
        ),
    ]
    return tuple(found)


def of_the_class_beside(k: int) -> Wrong:
    """Labels that are off by one."""
    told = {"formula": "that of the class beside is subtracted"}
    return Wrong("one-hot-not-subtracted", lambda z, t: softmax(z) - np.roll(t, k, -1), told)


def twice(z: Array, t: Array) -> Array:
    """The softmax's Jacobian applied to p − y, which has been through it."""
    p, d = softmax(z), softmax(z) - t
    return np.asarray(p * (d - total(p * d)))


def plain_entropy(z: Array, t: Array) -> Array:
    return np.asarray(softmax(z) - t)


def full_entropy(z: Array, t: Array) -> Array:
    return np.asarray(softmax(z) * total(t) - t)


def another(detail: str, gradient: Of) -> Wrong:
    return Wrong("gradient-of-another-loss", gradient, {"detail": detail})


def half(formula: str, gradient: Of) -> Wrong:
    return Wrong("loss-half-missing", gradient, {"formula": formula})


BINARY = "dz = σ(z) − y"
AT_PROBABILITIES = "dp = (p − y)/(p·(1 − p))"

SQUARED_WRONG = (
    another("the sign of z − y, of |z − y|; dz = 2·(z − y)", lambda z, t: np.sign(z - t)),
    Wrong("one-hot-not-subtracted", lambda z, t: 2 * z, {"formula": "dz = 2·(z − y)"}),
    Wrong("one-hot-not-subtracted", lambda z, t: z, {"formula": "dz = 2·(z − y)"}),
    another("(z − y)², the value itself; dz = 2·(z − y)", lambda z, t: (z - t) ** 2),
    another("z + y; dz = 2·(z − y)", lambda z, t: 2 * (z + t)),
)

LOSSES = (
    Loss(
        "logsumexp(z) − y·z",
        lambda z, t: logsumexp(z) - (t * z).sum(axis=-1),
        plain_entropy,
        wrong_logits(full_entropy, True),
    ),
    Loss(
        "−Σ y·log softmax(z)",
        lambda z, t: logsumexp(z) * t.sum(axis=-1) - (t * z).sum(axis=-1),
        full_entropy,
        wrong_logits(plain_entropy, False),
    ),
    Loss(
        "Σ y·log(y/softmax(z))",
        lambda z, t: self_entropy(t) + logsumexp(z) * t.sum(axis=-1) - (t * z).sum(axis=-1),
        full_entropy,
        wrong_logits(plain_entropy, False),
    ),
    Loss(
        "binary cross-entropy of logits",
        lambda z, t: np.logaddexp(0, z) - t * z,
        lambda z, t: sigmoid(z) - t,
        (
            Wrong("one-hot-not-subtracted", lambda z, t: sigmoid(z)),
            Wrong(
                "derivative-taken-twice",
                lambda z, t: (sigmoid(z) - t) * sigmoid(z) * (1 - sigmoid(z)),
                {"function": "sigmoid"},
            ),
            Wrong(
                "gradient-at-probabilities",
                lambda z, t: (sigmoid(z) - t) / (sigmoid(z) * sigmoid(-z)),
                {"formula": BINARY},
            ),
            Wrong(
                "gradient-at-probabilities",
                lambda z, t: -t / sigmoid(z),
                {"formula": BINARY},
            ),
            half(f"that of log(1 − σ(z)); {BINARY}", lambda z, t: -t * sigmoid(-z)),
            half(f"that of log σ(z); {BINARY}", lambda z, t: (1 - t) * sigmoid(z)),
            half(f"that of log(1 + exp(z)); {BINARY}", lambda z, t: -t),
            another(f"z − y, without σ; {BINARY}", lambda z, t: z - t),
            another(f"tanh(z) − y; {BINARY}", lambda z, t: np.tanh(z) - t),
        ),
    ),
    Loss(
        "binary cross-entropy of probabilities",
        lambda z, t: -t * np.log(z) - (1 - t) * np.log1p(-z),
        lambda z, t: (z - t) / (z * (1 - z)),
        (
            Wrong(
                "gradient-at-logits",
                lambda z, t: z - t,
                {"taken": "probabilities", "formula": AT_PROBABILITIES},
            ),
            half(f"that of log(1 − p); {AT_PROBABILITIES}", lambda z, t: -t / z),
            half(f"that of log p; {AT_PROBABILITIES}", lambda z, t: (1 - t) / (1 - z)),
            another(
                f"the sign of the second part is wrong; {AT_PROBABILITIES}",
                lambda z, t: -t / z - (1 - t) / (1 - z),
            ),
        ),
        "probabilities",
    ),
    Loss(
        "−Σ y·log p",
        lambda z, t: -(t * np.log(z)).sum(axis=-1),
        lambda z, t: -t / z,
        (
            Wrong(
                "gradient-at-logits",
                lambda z, t: z - t,
                {"taken": "probabilities", "formula": "dp = −y/p"},
            ),
            half("1/p of the logarithm: dp = −y/p", lambda z, t: -t),
            another("−1/p, without the targets; dp = −y/p", lambda z, t: -1 / z),
        ),
        "probabilities",
    ),
    Loss(
        "−Σ y·z of log-probabilities",
        lambda z, t: -(t * z).sum(axis=-1),
        lambda z, t: -t,
        (
            Wrong(
                "gradient-at-logits",
                lambda z, t: np.exp(z) - t,
                {"taken": "log-probabilities", "formula": "dz = −y"},
            ),
            Wrong(
                "gradient-at-logits",
                lambda z, t: softmax(z) - t,
                {"taken": "log-probabilities", "formula": "dz = −y"},
            ),
        ),
    ),
    Loss(
        "(z − y)²",
        lambda z, t: (z - t) ** 2,
        lambda z, t: 2 * (z - t),
        SQUARED_WRONG,
    ),
    Loss(
        "|z − y|",
        lambda z, t: abs(z - t),
        lambda z, t: np.sign(z - t),
        (
            another("z − y, of the square; dz = sign(z − y)", lambda z, t: z - t),
            another("1, without the sign; dz = sign(z − y)", lambda z, t: np.ones(z.shape)),
            another("sign(z), without the targets; dz = sign(z − y)", lambda z, t: np.sign(z)),
        ),
    ),
    Loss(
        "max(0, 1 − y·z)",
        lambda z, t: np.maximum(0, 1 - t * z),
        lambda z, t: -t * (t * z < 1),
        (
            Wrong("region-wrong", lambda z, t: -t, {"region": "y·z > 1: the hinge is flat there"}),
            Wrong(
                "region-wrong",
                lambda z, t: -t * (t * z < 0),
                {"region": "0 < y·z < 1: the margin counts, the mask is y·z < 1"},
            ),
            another(
                "y for every sample within the margin: dz = −y", lambda z, t: -1.0 * (t * z < 1)
            ),
        ),
    ),
    Loss(
        "max(0, 1 − y·z)²",
        lambda z, t: np.maximum(0, 1 - t * z) ** 2,
        lambda z, t: -2 * t * np.maximum(0, 1 - t * z),
        (
            Wrong(
                "region-wrong",
                lambda z, t: -2 * t * (1 - t * z),
                {"region": "y·z > 1: the hinge is flat there"},
            ),
            half("2·(1 − y·z), the derivative of the square", lambda z, t: -t * (t * z < 1)),
            half("y: dz = −2·y·(1 − y·z)", lambda z, t: -2 * np.maximum(0, 1 - t * z)),
        ),
    ),
)


OUTPUT = Loss("the output itself", lambda z, c: z, lambda z, c: c, ())
"""Of a network whose outputs are what is checked."""


def log_softmax(z: Array, c: Array) -> Array:
    return np.asarray(z - logsumexp(z)[..., None])


LOGS, SOFT = "dz = dy − softmax(z)·Σ dy", "dz = p·(dy − Σ p·dy)"


def summed(formula: str, gradient: Of) -> Wrong:
    return Wrong("softmax-sum-missing", gradient, {"formula": formula})


MAPS = (
    Loss(
        "log softmax",
        log_softmax,
        lambda z, c: c - softmax(z) * total(c),
        (
            summed(LOGS, lambda z, c: c),
            summed(LOGS, lambda z, c: c - softmax(z) * c),
            summed(LOGS, lambda z, c: c - softmax(z)),
            summed(LOGS, lambda z, c: c - total(c) / z.shape[-1]),
            summed(LOGS, lambda z, c: c - total(softmax(z) * c)),
            summed(LOGS, lambda z, c: c - softmax(z) * c.sum()),
            summed(LOGS, lambda z, c: c - softmax(z) * total(c) / z.shape[-1]),
            Wrong("softmax-wrong-axis", lambda z, c: c - softmax(z, 0) * total(c)),
            Wrong("softmax-wrong-axis", lambda z, c: c - softmax(z) * c.sum(axis=0)),
        ),
    ),
    Loss(
        "softmax",
        lambda z, c: softmax(z),
        lambda z, c: softmax(z) * (c - total(softmax(z) * c)),
        (
            Wrong("softmax-jacobian-diagonal", lambda z, c: softmax(z) * (1 - softmax(z)) * c),
            summed(SOFT, lambda z, c: softmax(z) * c),
            summed(SOFT, lambda z, c: softmax(z) * (c - total(c))),
            summed(SOFT, lambda z, c: softmax(z) * (c - total(c) / z.shape[-1])),
            summed(SOFT, lambda z, c: c - total(softmax(z) * c)),
            summed(SOFT, lambda z, c: softmax(z) * (c - (softmax(z) * c).sum())),
            summed(SOFT, lambda z, c: softmax(z) * (c + total(softmax(z) * c))),
            Wrong("softmax-wrong-axis", lambda z, c: softmax(z) * (c - (softmax(z) * c).sum(0))),
        ),
    ),
)
