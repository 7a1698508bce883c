"""Losses: softmax cross-entropy, squared and absolute errors, and losses with weight decay."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.catalogue.case import (
    PLAIN,
    SINGLE,
    SMALL_NUMBERS,
    Bug,
    Formula,
    Function,
    Generator,
    Mistake,
    Scalar,
    Setting,
    plant,
)

LONE = Setting(1, 5, 1)
MANY = Setting(64, 10, 1)
EQUAL = Setting(5, 5, 1)


def softmax(z: Any, axis: int = 1) -> Any:
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def logsumexp(z: Any) -> Any:
    peak = z.max(1)
    return peak + np.log(np.exp(z - peak[:, None]).sum(1))


def one_hot(labels: Any, z: Any) -> Any:
    return np.eye(z.shape[1], dtype=z.dtype)[labels]


# ---------------------------------------------------------------- integer labels, mean


def cross_entropy(z: Any, labels: Any) -> Any:
    return (logsumexp(z) - z[np.arange(len(z)), labels]).mean()


def cross_entropy_backward(dy: Any, z: Any, labels: Any) -> Any:
    """Dz = dy·(softmax(z) − onehot)/N"""
    return dy * (softmax(z) - one_hot(labels, z)) / len(z), None


def draw_classes(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch, at.inputs), rng.integers(0, at.inputs, at.batch)]


CROSS_ENTROPY = Formula(
    "cross-entropy", ("z", "labels"), cross_entropy, cross_entropy_backward, draw_classes
)


def dz(formula: Function) -> Function:
    """Backward of the mean with another (z, onehot) in the place of p − onehot."""
    return lambda dy, z, labels: (dy * formula(z, one_hot(labels, z)) / len(z), None)


BATCH_MISSING, NO_TARGET = ("scaled-by-batch",), ("one-hot-not-subtracted",)
CLIPPED, WRONG_AXIS = ("probability-clipped",), ("softmax-wrong-axis",)

CLASS_MISTAKES = (
    Mistake("1/N missing", BATCH_MISSING,
            lambda dy, z, labels: (dy * (softmax(z) - one_hot(labels, z)), None),
            settings=(PLAIN, SINGLE, MANY)),
    Mistake("1/N twice", ("divided-by-batch-twice",),
            lambda dy, z, labels: (dy * (softmax(z) - one_hot(labels, z)) / len(z) ** 2, None),
            settings=(PLAIN, MANY)),
    Mistake("1/classes for 1/N", ("scaled-by-constant",),
            lambda dy, z, labels: (dy * (softmax(z) - one_hot(labels, z)) / z.shape[1], None)),
    Mistake("the targets not subtracted", NO_TARGET, dz(lambda z, y: softmax(z)),
            settings=(PLAIN, SINGLE, LONE, MANY)),
    Mistake("y − p", ("sign-flipped",), dz(lambda z, y: y - softmax(z)), settings=(PLAIN, LONE)),
    Mistake("softmax over the batch", WRONG_AXIS, dz(lambda z, y: softmax(z, 0) - y),
            settings=(PLAIN, LONE, EQUAL, MANY)),
    Mistake("p clipped at 0.05", CLIPPED, dz(lambda z, y: np.clip(softmax(z), 0.05, 0.95) - y),
            settings=(PLAIN, Setting(6, 4, 1, size=3.0))),
    Mistake("p clipped at 1e-3", CLIPPED, dz(lambda z, y: np.clip(softmax(z), 1e-3, 1 - 1e-3) - y),
            settings=(Setting(6, 4, 1, size=5.0), Setting(6, 4, 1, np.float32, 6.0))),
    Mistake("no maximum subtracted", ("max-shift-missing",),
            dz(lambda z, y: np.exp(z) / np.exp(z).sum(1, keepdims=True) - y),
            settings=(Setting(size=1000.0), Setting(dtype=np.float32, size=200.0))),
    Mistake("dy ignored", ("cotangent-ignored",),
            lambda dy, z, labels: ((softmax(z) - one_hot(labels, z)) / len(z), None),
            settings=(PLAIN, MANY)),
    Mistake("labels off by one", (*NO_TARGET, "entries-wrong", "unrelated"),
            lambda dy, z, labels: (
                dy * (softmax(z) - one_hot((labels + 1) % z.shape[1], z)) / len(z), None)),
    Mistake("p·(1 − p) as for one sigmoid", ("unrelated", "entries-wrong"),
            dz(lambda z, y: softmax(z) * (1 - softmax(z)))),
    Mistake("the last sample is left out", ("samples-missing",),
            lambda dy, z, labels: (
                dy * (softmax(z) - one_hot(labels, z)) / len(z) *
                (np.arange(len(z)) < len(z) - 1)[:, None], None)),
)  # fmt: skip

OVERFLOWS = (
    Mistake("infinite at a logit of 1000", ("max-shift-missing", "probability-clipped"),
            forward=lambda z, labels: -np.log(softmax(z)[np.arange(len(z)), labels]).mean(),
            settings=(Setting(size=1000.0),)),
    Mistake("exp overflows in forward", ("max-shift-missing",),
            forward=lambda z, labels: (
                np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]).mean(),
            settings=(Setting(size=1000.0),)),
    Mistake("p clipped in forward only", CLIPPED,
            forward=lambda z, labels: -np.log(
                np.maximum(softmax(z)[np.arange(len(z)), labels], 1e-7)).mean(),
            settings=(Setting(6, 4, 1, size=40.0),)),
)  # fmt: skip


# ---------------------------------------------------------------- target rows, per sample


def soft(z: Any, y: Any) -> Any:
    """Logsumexp(z) − y·z, for each sample"""
    return logsumexp(z) - (y * z).sum(1)


def soft_backward(dy: Any, z: Any, y: Any) -> Any:
    return dy[:, None] * (softmax(z) - y), -dy[:, None] * z


def plain_cross_entropy(z: Any, y: Any) -> Any:
    """−Σ y·log p, whose gradient is p·Σy − y"""
    return logsumexp(z) * y.sum(1) - (y * z).sum(1)


def draw_rows(rng: Generator, at: Setting) -> list[Any]:
    """Targets that do not sum to one, as the toy's do not."""
    y = rng.uniform(0.0, 2.0, (at.batch, at.inputs))
    return [at.normal(rng, at.batch, at.inputs), y.astype(at.dtype)]


SOFT = Formula("soft targets", ("z", "y"), soft, soft_backward, draw_rows)

NOT_NORMALISED = ("targets-not-normalised",)
SOFT_MISTAKES = (
    Mistake("p·Σy − y for p − y", NOT_NORMALISED,
            lambda dy, z, y: (
                dy[:, None] * (softmax(z) * y.sum(1, keepdims=True) - y), -dy[:, None] * z),
            settings=(PLAIN, SINGLE)),
    Mistake("p − y for p·Σy − y", NOT_NORMALISED, lambda dy, z, y: (
                dy[:, None] * (softmax(z) - y), None),
            forward=plain_cross_entropy, settings=(PLAIN, LONE)),
    Mistake("the targets not subtracted", NO_TARGET,
            lambda dy, z, y: (dy[:, None] * softmax(z), None), settings=(PLAIN, LONE)),
    Mistake("z and y in each other's place", ("swapped-gradients", "unrelated"),
            lambda dy, z, y: (dy[:, None] * (softmax(y) - z), None)),
    Mistake("softmax over the batch", WRONG_AXIS,
            lambda dy, z, y: (dy[:, None] * (softmax(z, 0) - y), None)),
    Mistake("dy of both signs masked", ("cotangent-masked",),
            lambda dy, z, y: (np.maximum(dy, 0)[:, None] * (softmax(z) - y), None)),
    Mistake("the mean although each sample has a loss", ("divided-by-batch-twice",),
            lambda dy, z, y: (dy[:, None] * (softmax(z) - y) / len(z), None)),
)  # fmt: skip


# ---------------------------------------------------------------- regression, two classes


def squares(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).mean()


def squares_backward(dy: Any, y: Any, t: Any) -> Any:
    slope = dy * 2 * (y - t) / y.size
    return slope, -slope


def draw_targets(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch, at.inputs), at.normal(rng, at.batch, at.inputs)]


SQUARED = Formula("squared error", ("y", "t"), squares, squares_backward, draw_targets)

SQUARED_MISTAKES = (
    Mistake("the factor two missing", ("scaled-by-constant",),
            lambda dy, y, t: (dy * (y - t) / y.size, None),
            settings=(PLAIN, SINGLE, SMALL_NUMBERS)),
    Mistake("1/N but not 1/features", ("scaled-by-constant",),
            lambda dy, y, t: (dy * 2 * (y - t) / len(y), None)),
    Mistake("1/features but not 1/N", BATCH_MISSING,
            lambda dy, y, t: (dy * 2 * (y - t) / y.shape[1], None), settings=(PLAIN, MANY)),
    Mistake("t − y", ("sign-flipped",), lambda dy, y, t: (dy * 2 * (t - y) / y.size, None)),
    Mistake("the targets not subtracted", NO_TARGET,
            lambda dy, y, t: (dy * 2 * y / y.size, None)),
    Mistake("dt has the sign of dy", ("sign-flipped", "swapped-gradients"),
            lambda dy, y, t: (dy * 2 * (y - t) / y.size, dy * 2 * (y - t) / y.size)),
    Mistake("dy ignored", ("cotangent-ignored",),
            lambda dy, y, t: (2 * (y - t) / y.size, None)),
)  # fmt: skip


def absolute(y: Any, t: Any) -> Any:
    return abs(y - t).mean()


def absolute_backward(dy: Any, y: Any, t: Any) -> Any:
    slope = dy * np.sign(y - t) / y.size
    return slope, -slope


ABSOLUTE = Formula("absolute error", ("y", "t"), absolute, absolute_backward, draw_targets)

ABSOLUTE_MISTAKES = (
    Mistake("y − t for its sign",
            ("gradient-of-another-loss", "activation-derivative-missing", "entries-wrong"),
            lambda dy, y, t: (dy * (y - t) / y.size, None)),
    Mistake("1/N missing", BATCH_MISSING,
            lambda dy, y, t: (dy * np.sign(y - t) / y.shape[1], None)),
)  # fmt: skip


def binary(z: Any, t: Any) -> Any:
    """log(1 + eᶻ) − t·z, the mean over the batch"""
    return (np.maximum(z, 0) + np.log1p(np.exp(-abs(z))) - t * z).mean()


def binary_backward(dy: Any, z: Any, t: Any) -> Any:
    return dy * (1 / (1 + np.exp(-z)) - t) / len(z), None


def draw_binary(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch), rng.integers(0, 2, at.batch).astype(at.dtype)]


BINARY = Formula("binary cross-entropy", ("z", "t"), binary, binary_backward, draw_binary)


def binary_with(formula: Function) -> Function:
    return lambda dy, z, t: (dy * formula(1 / (1 + np.exp(-z)), t) / len(z), None)


BINARY_MISTAKES = (
    Mistake("the targets not subtracted", NO_TARGET, binary_with(lambda p, t: p)),
    Mistake("1/N missing", BATCH_MISSING, lambda dy, z, t: (dy * (1 / (1 + np.exp(-z)) - t), None)),
    Mistake("the derivative of the sigmoid once too often", ("derivative-taken-twice", "unrelated",
            "entries-wrong"),
            binary_with(lambda p, t: (p - t) * p * (1 - p))),
    Mistake("p clipped at 0.1", CLIPPED, binary_with(lambda p, t: np.clip(p, 0.1, 0.9) - t),
            settings=(Setting(12, size=3.0),)),
)  # fmt: skip


# ---------------------------------------------------------------- scalar losses with decay

DECAY = 0.05


def regression(x: Any, y: Any, w: Any) -> float:
    return float(((x @ w - y) ** 2).sum() / 2 + DECAY / 2 * (w * w).sum())


def decayed(factor: float) -> Function:
    """The gradient, with the term of the decay times a factor (one is right)."""

    def gradient(x: Any, y: Any, w: Any) -> Any:
        return None, None, x.T @ (x @ w - y) + factor * DECAY * w

    return gradient


def scalar(gradient: Function, setting: Setting, loss: Function = regression) -> Any:
    """Makes the problem for `check_gradient`."""

    def make(rng: Generator) -> Scalar:
        x = setting.normal(rng, setting.batch, setting.inputs)
        y = setting.plain(rng, setting.batch, setting.outputs)
        w = setting.plain(rng, setting.inputs, setting.outputs)
        return Scalar(loss, gradient, [x, y, w], ("x", "y", "w"))

    return make


DECAYED = (
    ("the decay missing", "weight-decay-mismatch", decayed(0.0)),
    ("the decay twice", "weight-decay-mismatch", decayed(2.0)),
    ("the decay of the wrong sign", "weight-decay-mismatch", decayed(-1.0)),
    ("all of the wrong sign", "sign-flipped", lambda x, y, w: (
        None, None, -decayed(1.0)(x, y, w)[2])),
    ("all divided by the batch", "divided-by-batch-twice", lambda x, y, w: (
        None, None, decayed(1.0)(x, y, w)[2] / len(x))),
)  # fmt: skip

SETTINGS = (PLAIN, Setting(12, 3, 1))


def bugs() -> Iterator[Bug]:
    yield from plant(CROSS_ENTROPY, CLASS_MISTAKES)
    yield from plant(CROSS_ENTROPY, OVERFLOWS)
    yield from plant(SOFT, SOFT_MISTAKES)
    yield from plant(SQUARED, SQUARED_MISTAKES)
    yield from plant(ABSOLUTE, ABSOLUTE_MISTAKES)
    yield from plant(BINARY, BINARY_MISTAKES)
    for name, slug, gradient in DECAYED:
        for setting in SETTINGS:
            title = f"{name}, {setting}"
            yield Bug(title, "loss with decay", scalar(gradient, setting), (slug,))
