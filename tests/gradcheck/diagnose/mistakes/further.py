"""Mistakes in lookups, cells and normalisation."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import OVERWRITES, Mistake, S, sigmoid


def overwritten(dy, x):
    dx = np.zeros(x.shape)
    dx[ROWS] = dy
    return (dx,)


ROWS = np.array([0, 1, 1, 3, 3, 3])


def gates(x, c, w):
    a, f, g = np.split(x @ w, 3, axis=1)
    return sigmoid(f) * c + sigmoid(a) * np.tanh(g)


def gates_without_one(dy, x, c, w):
    a, _, g = np.split(x @ w, 3, axis=1)
    a, g = sigmoid(a), np.tanh(g)
    parts = [dy * g * a * (1 - a), 0 * dy, dy * a * (1 - g * g)]
    return None, None, x.T @ np.concatenate(parts, axis=1)


def layer_norm(x, w, b):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt(x.var(1, keepdims=True) + 1e-5) * w + b


def gamma_outside(dy, x, w, b):
    r = 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    xhat = (x - x.mean(1, keepdims=True)) * r
    means = dy.mean(1, keepdims=True) + xhat * (dy * xhat).mean(1, keepdims=True)
    return w * r * (dy - means), None, None


def swish(z):
    return z * sigmoid(z)


def swish_slope(z):
    return sigmoid(z) * (1 + z * (1 - sigmoid(z)))


def further() -> Iterator[Mistake]:
    yield Mistake("= for +=", lambda x: x[ROWS], overwritten, ((5, 2),), OVERWRITES)
    yield Mistake(
        "a gate", gates, gates_without_one, ((5, 3), (5, 2), (3, 6)), "gradient-stops",
        names=("x", "c", "w"), wrong=2,
    )  # fmt: skip
    yield Mistake(
        "γ outside", layer_norm, gamma_outside, ((6, 5), (5,), (5,)), "batchnorm-gamma-missing"
    )
    yield Mistake(
        "swish'(y)",
        lambda x, w: swish(x @ w),
        lambda dy, x, w: ((dy * swish_slope(swish(x @ w))) @ w.T, None),
        ((6, 4), (4, 3)),
        "activation-derivative-at-output",
    )
    yield Mistake(
        "db of a square convolution",
        lambda x, b: np.sin(x) + b[:, None],
        lambda dy, x, b: (None, dy.sum((0, 1))),
        ((3, 4, 4), (4,)),
        "bias-wrong-axis",
        wrong=1,
    )
    yield Mistake(
        "a function without a name",
        lambda x: x * np.tanh(x + 0.1 * x**3),
        lambda dy, x: (dy * (np.tanh(x + 0.1 * x**3) + x / np.cosh(x + 0.1 * x**3) ** 2),),
        (S,),
        "activation-derivative-formula",
    )
