"""Wrong derivatives of functions of one entry."""

from collections.abc import Iterator

import numpy as np

from tests.gradcheck.diagnose.mistakes.mistake import AT_INPUT, ONE, L, Mistake, S, relu, sigmoid


def activations() -> Iterator[Mistake]:
    for shape in (S, ONE, L, (3,)):
        for name, phi in (("relu", relu), ("tanh", np.tanh), ("sigmoid", sigmoid)):
            if (name, shape) in (("relu", ONE), ("relu", (3,))):
                continue
            yield Mistake(
                f"{name}' missing",
                phi,
                lambda dy, x: (dy,),
                (shape,),
                "activation-derivative-missing",
            )
    yield Mistake(
        "tanh' f32",
        np.tanh,
        lambda dy, x: (dy,),
        (S,),
        "activation-derivative-missing",
        dtype=np.float32,
    )
    yield Mistake(
        "tanh'(y)",
        np.tanh,
        lambda dy, x: (dy * (1 - np.tanh(np.tanh(x)) ** 2),),
        (S,),
        "activation-derivative-at-output",
    )
    yield Mistake(
        "sigmoid'(y)",
        sigmoid,
        lambda dy, x: (dy * sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))),),
        (L,),
        "activation-derivative-at-output",
    )
    yield Mistake("1 - x²", np.tanh, lambda dy, x: (dy * (1 - x**2),), (S,), AT_INPUT)
    yield Mistake("x(1 - x)", sigmoid, lambda dy, x: (dy * x * (1 - x),), (S,), AT_INPUT)


def functions() -> Iterator[Mistake]:
    yield Mistake("3x", lambda x: x**3, lambda dy, x: (3 * dy * x,), (S,), "power-rule")
    yield Mistake(
        "sqrt", np.sqrt, lambda dy, x: (0.5 * dy * np.sqrt(x),), (S,), "power-rule", positive=True
    )
    yield Mistake("1/x", lambda x: 1 / x, lambda dy, x: (-dy / x,), (S,), "power-rule")
    yield Mistake(
        "sin(x²)",
        lambda x: np.sin(x**2),
        lambda dy, x: (dy * np.cos(x**2),),
        (S,),
        "chain-rule-factor-missing",
    )
    yield Mistake(
        "exp(-x²)",
        lambda x: np.exp(-(x**2)),
        lambda dy, x: (dy * np.exp(-(x**2)),),
        (S,),
        "chain-rule-factor-missing",
    )
    yield Mistake(
        "x·exp(x)",
        lambda x: x * np.exp(x),
        lambda dy, x: (dy * np.exp(x),),
        (S,),
        "product-rule-term-missing",
    )
    yield Mistake(
        "swish",
        lambda x: x * sigmoid(x),
        lambda dy, x: (dy * sigmoid(x),),
        (S,),
        "product-rule-term-missing",
    )
    yield Mistake(
        "x·sin(x)",
        lambda x: x * np.sin(x),
        lambda dy, x: (dy * x * np.cos(x),),
        (L,),
        "product-rule-term-missing",
    )
    yield Mistake(
        "sin' = sin", np.sin, lambda dy, x: (dy * np.sin(x),), (S,), "wrong-function-derivative"
    )
    yield Mistake(
        "skip",
        lambda x: x + np.tanh(x),
        lambda dy, x: (dy * (1 - np.tanh(x) ** 2),),
        (S,),
        "path-missing",
    )
    yield Mistake(
        "product without w",
        lambda x, w: x * w,
        lambda dy, x, w: (dy, dy * x),
        (S, S),
        "activation-derivative-missing",
    )
