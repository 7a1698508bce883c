"""Planted mistakes: forward, a backward that is wrong, shapes, and what it should be called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

AT_INPUT = "output-formula-at-input"
OVERWRITES = "overwrites-instead-of-accumulating"


@dataclass(frozen=True)
class Mistake:
    title: str
    forward: Callable
    backward: Callable
    shapes: tuple
    slug: str
    size: float = 1.0
    dtype: type = np.float64
    names: tuple[str, ...] = ("x", "w", "b")
    wrong: int = 0
    positive: bool = False

    def inputs(self, seed=0):
        rng = np.random.default_rng(1000 + seed)
        drawn = [self.size * rng.standard_normal(shape) for shape in self.shapes]
        return [np.asarray(abs(a) if self.positive else a, self.dtype) for a in drawn]


def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def relu(x):
    return np.maximum(x, 0)


def affine(x, w, b):
    return x @ w + b


def changed(value, index, factor):
    value = value.copy()
    value[index] = value[index] * factor
    return value


S, L, ONE = (4, 5), (300, 40), (1, 6)
AFFINE = ((7, 4), (4, 3), (3,))
SQUARE = ((5, 3), (3, 3), (3,))
LARGE = ((300, 40), (40, 20), (20,))


def of_weights(title, dw, slug, shapes=AFFINE):
    """x·w + b with a dw(dy, x) that is wrong."""

    def backward(dy, x, w, b):
        return None, dw(dy, x), None

    return Mistake(title, affine, backward, shapes, slug, wrong=1)


def of_bias(title, db, slug, shapes=AFFINE):
    """x·w + b with a db(dy, b) that is wrong."""

    def backward(dy, x, w, b):
        return None, None, db(dy, b)

    return Mistake(title, affine, backward, shapes, slug, wrong=2)
