"""Mistakes in sums, and in what is not summed."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import AFFINE, LARGE, Mistake, S, affine


def sums_of_gradients() -> Iterator[Mistake]:
    yield Mistake(
        "db not summed",
        affine,
        lambda dy, x, w, b: (None, None, dy),
        AFFINE,
        "bias-not-summed",
        wrong=2,
    )
    yield Mistake(
        "db axis 1",
        affine,
        lambda dy, x, w, b: (None, None, dy.sum(1)),
        ((4, 3), (3, 4), (4,)),
        "bias-wrong-axis",
        wrong=2,
    )
    yield Mistake(
        "db axis 1, shape",
        affine,
        lambda dy, x, w, b: (None, None, dy.sum(1)),
        AFFINE,
        "bias-wrong-axis",
        wrong=2,
    )
    yield Mistake(
        "db all",
        affine,
        lambda dy, x, w, b: (None, None, np.full(b.shape, dy.sum())),
        AFFINE,
        "bias-wrong-axis",
        wrong=2,
    )


def sums_of_values() -> Iterator[Mistake]:
    for shapes in (AFFINE, LARGE):
        yield Mistake(
            "first sample",
            affine,
            lambda dy, x, w, b: (None, None, dy[1:].sum(0)),
            shapes,
            "samples-missing",
            wrong=2,
        )
        yield Mistake(
            "last sample dw",
            affine,
            lambda dy, x, w, b: (None, x[:-1].T @ dy[:-1], None),
            shapes,
            "samples-missing",
            wrong=1,
        )
    yield Mistake(
        "one sample",
        affine,
        lambda dy, x, w, b: (None, np.outer(x[-1], dy[-1]), None),
        AFFINE,
        "samples-missing",
        wrong=1,
    )
    yield Mistake(
        "broadcast scale",
        lambda x, w: x * w,
        lambda dy, x, w: (None, dy * x),
        (S, (5,)),
        "bias-not-summed",
        wrong=1,
    )
    yield Mistake(
        "second output",
        lambda x: (np.sin(x), x**2),
        lambda dy, x: (dy[0] * np.cos(x),),
        (S,),
        "output-ignored",
    )
