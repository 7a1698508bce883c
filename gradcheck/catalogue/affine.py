"""y = x·w + b, and products beside it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.catalogue.case import (
    LARGE,
    LARGE_NUMBERS,
    PLAIN,
    SINGLE,
    SMALL_NUMBERS,
    SQUARE,
    Bug,
    Formula,
    Generator,
    Mistake,
    Setting,
    plant,
)


def forward(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def backward(dy: Any, x: Any, w: Any, b: Any) -> Any:
    """Dx = dy·wᵀ, dw = xᵀ·dy, db = Σₙ dy"""
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def draw(rng: Generator, at: Setting) -> list[Any]:
    return [
        at.normal(rng, at.batch, at.inputs),
        at.plain(rng, at.inputs, at.outputs),
        at.plain(rng, at.outputs),
    ]


AFFINE = Formula("affine", ("x", "w", "b"), forward, backward, draw)

BLOCK = 4
SQUARES = (SQUARE, Setting(9, 3, 3), Setting(6, 12, 12, np.float32))
TALL = Setting(10, 6, 6)
LEARNING_RATE = 0.1


def whole_blocks(matrix: Any, axis: int) -> Any:
    """The matrix with what a loop in blocks leaves over set to zero."""
    length = matrix.shape[axis]
    is_computed = np.arange(length) < length - length % BLOCK
    return matrix * np.expand_dims(is_computed, 1 - axis)


MISTAKES = (
    Mistake("dw transposed", ("transposed",),
            lambda dy, x, w, b: (dy @ w.T, dy.T @ x, dy.sum(0)), settings=SQUARES),
    Mistake("dw in the shape of its transpose", ("transposed",),
            lambda dy, x, w, b: (dy @ w.T, dy.T @ x, dy.sum(0)), settings=(PLAIN, LARGE)),
    Mistake("dx with w where wᵀ is meant", ("wrong-weights",),
            lambda dy, x, w, b: (dy @ w, x.T @ dy, dy.sum(0)), settings=SQUARES),
    Mistake("dx with weights that are updated already", ("wrong-weights",),
            lambda dy, x, w, b: (
                dy @ (w - LEARNING_RATE * (x.T @ dy)).T, x.T @ dy, dy.sum(0)),
            settings=(PLAIN, LARGE, SINGLE)),
    Mistake("dw divided by the batch", ("divided-by-batch-twice",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy / len(x), dy.sum(0)),
            settings=(PLAIN, LARGE, SINGLE, SMALL_NUMBERS)),
    Mistake("db divided by the batch", ("divided-by-batch-twice",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.mean(0)), settings=(PLAIN, SQUARE)),
    Mistake("all times the batch", ("scaled-by-batch",),
            lambda dy, x, w, b: (len(x) * dy @ w.T, len(x) * x.T @ dy, len(x) * dy.sum(0)),
            settings=(PLAIN, SINGLE, LARGE_NUMBERS)),
    Mistake("db over the wrong axis", ("bias-wrong-axis",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.sum(1)),
            settings=(SQUARE, Setting(8, 3, 8))),
    Mistake("db over both axes", ("bias-wrong-axis",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, np.full_like(b, dy.sum()))),
    Mistake("db in the shape of dy", ("bias-not-summed",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy), settings=(PLAIN, SQUARE, LARGE)),
    Mistake("db of the first sample", ("bias-not-summed", "samples-missing"),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy[0])),
    Mistake("the last sample is left out", ("samples-missing",),
            lambda dy, x, w, b: (dy @ w.T, x[:-1].T @ dy[:-1], dy[:-1].sum(0)),
            settings=(PLAIN, Setting(64, 5, 4), SINGLE)),
    Mistake("dw of the first sample", ("samples-missing",),
            lambda dy, x, w, b: (dy @ w.T, np.outer(x[0], dy[0]), dy.sum(0))),
    Mistake("dx and dw in each other's place", ("swapped-gradients",),
            lambda dy, x, w, b: (x.T @ dy, dy @ w.T, dy.sum(0)), settings=(SQUARE, PLAIN)),
    Mistake("dw of the wrong sign", ("sign-flipped",),
            lambda dy, x, w, b: (dy @ w.T, -x.T @ dy, dy.sum(0)), settings=(PLAIN, LARGE, SINGLE)),
    Mistake("dx of the wrong sign", ("sign-flipped",),
            lambda dy, x, w, b: (-dy @ w.T, x.T @ dy, dy.sum(0)), settings=(SMALL_NUMBERS,)),
    Mistake("dw twice", ("scaled-by-constant",),
            lambda dy, x, w, b: (dy @ w.T, 2 * x.T @ dy, dy.sum(0)), settings=(PLAIN, LARGE)),
    Mistake("dx off by one part in 1e4", ("scaled-by-constant",),
            lambda dy, x, w, b: (1.0001 * dy @ w.T, x.T @ dy, dy.sum(0))),
    Mistake("db is zero", ("gradient-stops",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy, 0 * b)),
    Mistake("the tail of dx is not computed", ("tail-not-computed",),
            lambda dy, x, w, b: (whole_blocks(dy @ w.T, 1), x.T @ dy, dy.sum(0)),
            settings=(PLAIN, Setting(5, 7, 6), Setting(5, 10, 6, np.float32))),
    Mistake("the tail of dw is not computed", ("tail-not-computed",),
            lambda dy, x, w, b: (dy @ w.T, whole_blocks(x.T @ dy, 0), dy.sum(0)),
            settings=(TALL, Setting(9, 30, 6))),
    Mistake("the sum over the batch lacks its tail", ("samples-missing", "tail-not-computed"),
            lambda dy, x, w, b: (dy @ w.T, x.T @ whole_blocks(dy, 0), dy.sum(0)),
            settings=(PLAIN, Setting(33, 5, 4))),
    Mistake("dw computed in float32", ("reduced-precision",),
            lambda dy, x, w, b: (
                dy @ w.T, (x.astype("f4").T @ dy.astype("f4")).astype("f8"), dy.sum(0)),
            settings=(PLAIN, LARGE, Setting(size=300.0))),
    Mistake("dx computed in float16", ("reduced-precision",),
            lambda dy, x, w, b: (
                (dy.astype("f2") @ w.T.astype("f2")).astype(x.dtype), x.T @ dy, dy.sum(0)),
            settings=(PLAIN, SINGLE)),
    Mistake("one entry of dw is wrong", ("entries-wrong",),
            lambda dy, x, w, b: (dy @ w.T, x.T @ dy + (w == w.max()), dy.sum(0)),
            settings=(PLAIN, LARGE)),
)  # fmt: skip


# ---------------------------------------------------------------- products beside it


def scale(x: Any, s: Any) -> Any:
    return x * s


def scale_backward(dy: Any, x: Any, s: Any) -> Any:
    """Dx = dy·s, ds = Σₙ dy·x"""
    return dy * s, (dy * x).sum(axis=0)


def draw_scale(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch, at.inputs), at.plain(rng, at.inputs)]


SCALE = Formula("broadcast", ("x", "s"), scale, scale_backward, draw_scale)

SCALE_MISTAKES = (
    Mistake("ds is not reduced", ("bias-not-summed",), lambda dy, x, s: (dy * s, dy * x),
            settings=(PLAIN, SINGLE)),
    Mistake("ds over the wrong axis", ("bias-wrong-axis",),
            lambda dy, x, s: (dy * s, (dy * x).sum(1)), settings=(SQUARE,)),
    Mistake("ds is the mean", ("divided-by-batch-twice",),
            lambda dy, x, s: (dy * s, (dy * x).mean(0)), settings=(PLAIN, LARGE)),
    Mistake("the factor s is forgotten", ("activation-derivative-missing", "scaled-by-constant"),
            lambda dy, x, s: (dy, (dy * x).sum(0))),
    Mistake("dx of the wrong sign", ("sign-flipped",),
            lambda dy, x, s: (-dy * s, (dy * x).sum(0))),
)  # fmt: skip


def product(a: Any, b: Any) -> Any:
    return a @ b


def product_backward(dy: Any, a: Any, b: Any) -> Any:
    return dy @ b.T, a.T @ dy


def draw_product(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch, at.inputs), at.plain(rng, at.inputs, at.outputs)]


PRODUCT = Formula("matrix product", ("a", "b"), product, product_backward, draw_product)

PRODUCT_MISTAKES = (
    Mistake("da transposed", ("transposed",), lambda dy, a, b: (b @ dy.T, a.T @ dy),
            settings=(SQUARE,)),
    Mistake("gradients in each other's place", ("swapped-gradients",),
            lambda dy, a, b: (a.T @ dy, dy @ b.T), settings=(SQUARE,)),
    Mistake("db with a where aᵀ is meant", ("wrong-weights",),
            lambda dy, a, b: (dy @ b.T, a @ dy), settings=(SQUARE,)),
    Mistake("dy ignored", ("cotangent-ignored",),
            lambda dy, a, b: (np.ones_like(dy) @ b.T, a.T @ np.ones_like(dy)),
            settings=(PLAIN, SINGLE)),
)  # fmt: skip


def bugs() -> Iterator[Bug]:
    yield from plant(AFFINE, MISTAKES)
    yield from plant(SCALE, SCALE_MISTAKES)
    yield from plant(PRODUCT, PRODUCT_MISTAKES)
