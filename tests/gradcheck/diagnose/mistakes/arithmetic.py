"""Mistakes of precision and rounding."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import AFFINE, L, Mistake, S, affine


def arithmetic() -> Iterator[Mistake]:
    f = np.float32
    yield Mistake(
        "float32",
        np.sin,
        lambda dy, x: ((f(dy) * np.cos(f(x))).astype(float),),
        (L,),
        "reduced-precision",
    )
    yield Mistake(
        "float32 small",
        np.tanh,
        lambda dy, x: (dy * (1 - np.tanh(f(x)).astype(float) ** 2),),
        (S,),
        "reduced-precision",
    )
    yield Mistake(
        "float16",
        np.sin,
        lambda dy, x: ((np.float16(dy) * np.cos(np.float16(x))).astype(float),),
        (S,),
        "reduced-precision",
    )
    yield Mistake(
        "float32 product",
        affine,
        lambda dy, x, w, b: (None, (f(x).T @ f(dy)).astype(float), None),
        AFFINE,
        "reduced-precision",
        wrong=1,
    )
    yield Mistake(
        "stops", affine, lambda dy, x, w, b: (0 * x, None, None), AFFINE, "gradient-stops"
    )
    yield Mistake(
        "nan",
        lambda x: np.sqrt(x**2 + 1),
        lambda dy, x: (dy * x / np.sqrt(x**2 - 0.5),),
        (S,),
        "not-finite",
    )
