"""Mistakes in sums, and in what is not summed."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import AFFINE, LARGE, Mistake, S, of_bias, of_weights


def sums_of_gradients() -> Iterator[Mistake]:
    yield of_bias("db not summed", lambda dy, b: dy, "bias-not-summed")
    for shapes in (AFFINE, ((4, 3), (3, 4), (4,))):
        yield of_bias("db axis 1", lambda dy, b: dy.sum(1), "bias-wrong-axis", shapes)
    yield of_bias("db all", lambda dy, b: np.full(b.shape, dy.sum()), "bias-wrong-axis")


def sums_of_values() -> Iterator[Mistake]:
    for shapes in (AFFINE, LARGE):
        yield of_bias("first sample", lambda dy, b: dy[1:].sum(0), "samples-missing", shapes)
        yield of_weights(
            "last sample dw", lambda dy, x: x[:-1].T @ dy[:-1], "samples-missing", shapes
        )
    yield of_weights("one sample", lambda dy, x: np.outer(x[-1], dy[-1]), "samples-missing")
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
