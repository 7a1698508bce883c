"""Right numbers in wrong places."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import (
    AFFINE,
    SQUARE,
    Mistake,
    S,
    of_bias,
    of_weights,
    softmax,
)


def transposed() -> Iterator[Mistake]:
    for shapes in (AFFINE, SQUARE, ((40, 20), (20, 20), (20,))):
        yield of_weights("dw transposed", lambda dy, x: dy.T @ x, "transposed", shapes)


def arranged() -> Iterator[Mistake]:
    yield Mistake("x.T", lambda x: x.T, lambda dy, x: (dy,), ((4, 4),), "transposed")
    yield Mistake(
        "swapped product",
        lambda x, w: x * w,
        lambda dy, x, w: (dy * x, dy * w),
        (S, S),
        "swapped-gradients",
    )
    yield Mistake(
        "swapped b",
        lambda a, b: np.sin(a) + b**3,
        lambda dy, a, b: (3 * dy * b**2, dy * np.cos(a)),
        (S, S),
        "swapped-gradients",
    )
    yield Mistake(
        "concatenated",
        lambda a, b: np.concatenate([a, b]),
        lambda dy, a, b: (dy[: len(a)], dy[: len(b)]),
        ((5,), (4,)),
        "permuted",
        wrong=1,
    )
    yield Mistake("flip", lambda x: x[::-1] * 2, lambda dy, x: (2 * dy,), (S,), "permuted")
    yield Mistake(
        "Fortran",
        lambda x: x.ravel(order="F"),
        lambda dy, x: (dy.reshape(x.shape),),
        (S,),
        "permuted",
    )
    yield Mistake(
        "cumsum",
        lambda x: np.cumsum(x),
        lambda dy, x: (np.cumsum(dy),),
        ((9,),),
        "jacobian-not-transposed",
    )
    yield Mistake(
        "softmax diagonal",
        softmax,
        lambda dy, x: (dy * softmax(x) * (1 - softmax(x)),),
        (S,),
        "softmax-jacobian-diagonal",
    )
    yield of_bias("keepdims", lambda dy, b: dy.sum(0, keepdims=True), "wrong-shape")
