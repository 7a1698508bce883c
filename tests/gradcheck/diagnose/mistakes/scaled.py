"""Mistakes of size and sign."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import (
    AFFINE,
    LARGE,
    L,
    Mistake,
    S,
    of_bias,
    of_weights,
)


def scales() -> Iterator[Mistake]:
    square = lambda x: x * x  # noqa: E731
    for size in (1e-6, 1.0, 1e6):
        yield Mistake(
            f"sign {size:g}", square, lambda dy, x: (-2 * dy * x,), (S,), "sign-flipped", size
        )
    yield Mistake(
        "sign f32",
        np.tanh,
        lambda dy, x: (-dy * (1 - np.tanh(x) ** 2),),
        (S,),
        "sign-flipped",
        dtype=np.float32,
    )
    yield Mistake("sign large", np.sin, lambda dy, x: (-dy * np.cos(x),), (L,), "sign-flipped")
    yield Mistake("sign scalar", np.sin, lambda dy, x: (-dy * np.cos(x),), ((),), "sign-flipped")
    yield Mistake("half", square, lambda dy, x: (dy * x,), (S,), "scaled-by-constant")
    yield Mistake(
        "1.0005", np.sin, lambda dy, x: (1.0005 * dy * np.cos(x),), (S,), "scaled-by-constant"
    )
    yield Mistake(
        "1.00001", np.sin, lambda dy, x: (1.00001 * dy * np.cos(x),), (L,), "scaled-by-constant"
    )
    for shapes in (AFFINE, LARGE):
        yield Mistake(
            "no 1/N",
            lambda x, w, b: ((x @ w + b) ** 2).sum() / len(x),
            lambda dy, x, w, b: (2 * dy * (x @ w + b) @ w.T, None, None),
            shapes,
            "scaled-by-batch",
        )
    yield of_weights("1/N twice", lambda dy, x: x.T @ dy / len(x), "divided-by-batch-twice")
    yield of_bias("db mean", lambda dy, b: dy.mean(0), "divided-by-batch-twice")
    yield Mistake(
        "twice, N = 2", square, lambda dy, x: (4 * dy * x,), ((2, 5),), "scaled-by-constant"
    )
    yield Mistake(
        "mean over axis 1",
        lambda x: x.mean(1),
        lambda dy, x: (np.repeat(dy[:, None], x.shape[1], 1),),
        ((4, 7),),
        "scaled-by-constant",
    )
