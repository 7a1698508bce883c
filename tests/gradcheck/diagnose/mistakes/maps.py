"""Mistakes in affine maps."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import AFFINE, LARGE, SQUARE, Mistake, affine, relu


def affine_maps() -> Iterator[Mistake]:
    def hidden(x, w, b):
        return np.tanh(x @ w + b)

    def rectified(x, w, b):
        return relu(x @ w + b)

    for shapes in (AFFINE, SQUARE, LARGE):
        for phi in (hidden, rectified):
            yield Mistake(
                "φ' missing in dw",
                phi,
                lambda dy, x, w, b: (None, x.T @ dy, None),
                shapes,
                "activation-derivative-missing",
                wrong=1,
                size=0.5,
            )
    yield Mistake(
        "φ' missing in dx",
        hidden,
        lambda dy, x, w, b: (dy @ w.T, None, None),
        AFFINE,
        "activation-derivative-missing",
    )
    yield Mistake(
        "φ' missing in db",
        hidden,
        lambda dy, x, w, b: (None, None, dy.sum(0)),
        AFFINE,
        "activation-derivative-missing",
        wrong=2,
    )
    for shapes in (SQUARE, ((1, 4), (4, 4), (4,)), ((30, 20), (20, 20), (20,))):
        yield Mistake(
            "dy·w", affine, lambda dy, x, w, b: (dy @ w, None, None), shapes, "wrong-weights"
        )
    yield Mistake(
        "dy·w with tanh",
        hidden,
        lambda dy, x, w, b: ((dy * (1 - hidden(x, w, b) ** 2)) @ w, None, None),
        SQUARE,
        "wrong-weights",
    )
