"""y = φ(x), entry by entry: dx = dy·φ'(x)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradcheck.catalogue.case import (
    LARGE,
    LARGE_NUMBERS,
    PLAIN,
    SINGLE,
    SMALL_NUMBERS,
    Bug,
    Formula,
    Function,
    Generator,
    Mistake,
    Setting,
    plant,
)

ROOT_TWO, ROOT_TWO_PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)
GELU_TANH = math.sqrt(2.0 / math.pi)
LEAK = 0.1
ELU = 1.5
SMOOTH = 0.3

WIDE = Setting(size=4.0)
"""So that a good part lies where activations saturate."""

erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def normal_distribution(x: Any) -> Any:
    return ((1 + erf(x / ROOT_TWO)) / 2).astype(x.dtype)


def normal_density(x: Any) -> Any:
    return np.exp(-x * x / 2) / ROOT_TWO_PI


def gelu_slope(x: Any) -> Any:
    return normal_distribution(x) + x * normal_density(x)


def gelu_tanh_slope(x: Any) -> Any:
    """Of the approximation by tanh, which is another function than that by erf."""
    t = np.tanh(GELU_TANH * (x + 0.044715 * x**3))
    inner = GELU_TANH * (1 + 3 * 0.044715 * x * x)
    return (1 + t) / 2 + x * (1 - t * t) / 2 * inner


def silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


def softsign(x: Any) -> Any:
    return x / (1 + abs(x))


def pointwise(
    name: str, function: Function, slope: Function, draw: Callable[..., Any] | None = None
) -> Formula:
    """The formula of one activation, from φ and φ'."""

    def normal(rng: Generator, at: Setting) -> list[Any]:
        return [at.normal(rng, at.batch, at.inputs)]

    def backward(dy: Any, x: Any) -> Any:
        return dy * slope(x)

    return Formula(name, ("x",), function, backward, draw or normal)


def positive(rng: Generator, at: Setting) -> list[Any]:
    return [np.asarray(at.size * rng.uniform(0.5, 3.0, (at.batch, at.inputs)), at.dtype)]


RELU = pointwise("relu", lambda x: np.maximum(x, 0), lambda x: x > 0)
LEAKY = pointwise(
    "leaky relu",
    lambda x: np.where(x > 0, x, LEAK * x),
    lambda x: np.where(x > 0, 1, LEAK).astype(x.dtype),
)
TANH = pointwise("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2)
SIGMOID = pointwise("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)))
SOFTPLUS = pointwise("softplus", softplus, sigmoid)
GELU = pointwise("gelu", lambda x: x * normal_distribution(x), gelu_slope)
SILU = pointwise("silu", lambda x: x * sigmoid(x), silu_slope)
ELU_FORMULA = pointwise(
    "elu",
    lambda x: np.where(x > 0, x, ELU * np.expm1(np.minimum(x, 0))),
    lambda x: np.where(x > 0, 1, ELU * np.exp(np.minimum(x, 0))).astype(x.dtype),
)
SOFTSIGN = pointwise("softsign", softsign, lambda x: 1 / (1 + abs(x)) ** 2)
SINE = pointwise("sin", np.sin, np.cos)
SQUARES = pointwise("square", lambda x: x * x, lambda x: 2 * x)
EXPONENTIAL = pointwise("exp", np.exp, np.exp)
LOGARITHM = pointwise("log", np.log, lambda x: 1 / x, positive)
ROOT = pointwise("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), positive)
CLAMP = pointwise("hardtanh", lambda x: np.clip(x, -1, 1), lambda x: abs(x) < 1)

ALL = (
    RELU, LEAKY, TANH, SIGMOID, SOFTPLUS, GELU, SILU, ELU_FORMULA, SOFTSIGN, SINE, SQUARES,
    EXPONENTIAL, LOGARITHM, ROOT, CLAMP,
)  # fmt: skip

SETTINGS = (PLAIN, SINGLE)

MISSING = ("activation-derivative-missing",)
AT_OUTPUT = ("activation-derivative-at-output",)
AT_INPUT = ("output-formula-at-input", "activation-derivative-at-output")
REGION = ("region-wrong",)
FORMULA = ("entries-wrong", "unrelated", "region-wrong")


def without_derivative(dy: Any, x: Any) -> Any:
    return dy


def common(slope: Function) -> tuple[Mistake, ...]:
    """What can be done wrong with the cotangent, whatever the activation is."""
    return (
        Mistake("dy ignored", ("cotangent-ignored",), lambda dy, x: 1 * slope(x)),
        Mistake("dx where dy > 0 only", ("cotangent-masked",),
                lambda dy, x: dy * slope(x) * (dy > 0), settings=SETTINGS),
        Mistake("dy clipped to ±1", ("cotangent-clipped",),
                lambda dy, x: np.clip(dy, -1, 1) * slope(x), settings=(PLAIN, LARGE)),
    )  # fmt: skip


RELU_MISTAKES = (
    *common(lambda x: x > 0),
    Mistake("φ' missing", MISSING, without_derivative, settings=(*SETTINGS, LARGE)),
    Mistake("the mask is on dy", ("cotangent-masked",), lambda dy, x: dy * (dy > 0)),
    Mistake("the mask is x < 0", REGION, lambda dy, x: dy * (x < 0)),
    Mistake("the mask is x > 0.5", REGION, lambda dy, x: dy * (x > 0.5), settings=SETTINGS),
    Mistake("|dy|", ("cotangent-nonlinear", "cotangent-masked"), lambda dy, x: abs(dy) * (x > 0),
            settings=SETTINGS),
    Mistake("sign of dy", ("cotangent-clipped", "cotangent-nonlinear"),
            lambda dy, x: np.sign(dy) * (x > 0)),
    Mistake("dy normalised", ("cotangent-nonlinear",),
            lambda dy, x: dy * (x > 0) / np.linalg.norm(dy)),
)  # fmt: skip

TANH_MISTAKES = (
    *common(lambda x: 1 - np.tanh(x) ** 2),
    Mistake("φ' missing", MISSING, without_derivative, settings=(PLAIN, Setting(size=0.01))),
    Mistake("1 − x² for 1 − y²", AT_INPUT, lambda dy, x: dy * (1 - x * x), settings=SETTINGS),
    Mistake("φ'(y)", AT_OUTPUT, lambda dy, x: dy * (1 - np.tanh(np.tanh(x)) ** 2),
            settings=SETTINGS),
    Mistake("the square forgotten, 1 − y", ("activation-derivative-formula", *FORMULA),
            lambda dy, x: dy * (1 - np.tanh(x))),
    Mistake("φ' twice where |x| > 6", REGION,
            lambda dy, x: dy * (1 - np.tanh(x) ** 2) * np.where(abs(x) > 6, 2, 1),
            settings=(WIDE, Setting(12, 30, 1, size=2.5))),
    Mistake("wrong sign", ("sign-flipped",), lambda dy, x: -dy * (1 - np.tanh(x) ** 2)),
    Mistake("φ' in float16", ("reduced-precision",),
            lambda dy, x: dy * (1 - np.tanh(x.astype("f2")) ** 2).astype(x.dtype)),
    Mistake("φ' in float32", ("reduced-precision",),
            lambda dy, x: dy * (1 - np.tanh(x.astype("f4")) ** 2).astype(x.dtype)),
)  # fmt: skip

SIGMOID_MISTAKES = (
    *common(lambda x: sigmoid(x) * (1 - sigmoid(x))),
    Mistake("φ' missing", MISSING, without_derivative, settings=SETTINGS),
    Mistake("y for y·(1 − y)", ("chain-rule-factor-missing", *FORMULA),
            lambda dy, x: dy * sigmoid(x)),
    Mistake("x·(1 − x) for y·(1 − y)", AT_INPUT, lambda dy, x: dy * x * (1 - x)),
    Mistake("φ'(y)", AT_OUTPUT,
            lambda dy, x: dy * sigmoid(sigmoid(x)) * (1 - sigmoid(sigmoid(x))),
            settings=SETTINGS),
    Mistake("the derivative of tanh", ("wrong-function-derivative", *FORMULA),
            lambda dy, x: dy * (1 - sigmoid(x) ** 2)),
    Mistake("y − 1 for 1 − y", ("sign-flipped",), lambda dy, x: dy * sigmoid(x) * (sigmoid(x) - 1)),
)  # fmt: skip


def saturated(rng: Generator, at: Setting) -> list[Any]:
    """Where σ(x) is below eps, and 1 − σ(−x) has no digits left."""
    return [np.asarray(rng.uniform(-42.0, -30.0, (at.batch, at.inputs)), at.dtype)]


TAIL = pointwise("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), saturated)
TAIL_MISTAKES = (
    Mistake("the tail from 1 − σ(−x)", ("region-wrong", "reduced-precision"),
            lambda dy, x: dy * sigmoid(-x) * (1 - sigmoid(-x)), settings=(PLAIN, Setting(3, 4, 1))),
)  # fmt: skip


def overflowing(rng: Generator, at: Setting) -> list[Any]:
    return [np.asarray(rng.choice([-1.0, 1.0], (at.batch, at.inputs)) * 800 - 20, at.dtype)]


def stable_sigmoid(x: Any) -> Any:
    e = np.exp(-abs(x))
    return np.where(x > 0, 1, e) / (1 + e)


OVERFLOW = pointwise(
    "sigmoid", stable_sigmoid, lambda x: stable_sigmoid(x) * stable_sigmoid(-x), overflowing
)
OVERFLOW_MISTAKES = (
    Mistake("exp overflows in φ'", ("max-shift-missing",),
            lambda dy, x: dy * np.exp(-x) / (1 + np.exp(-x)) ** 2),
)  # fmt: skip

OTHER_MISTAKES: dict[str, tuple[Formula, tuple[Mistake, ...]]] = {
    "leaky": (LEAKY, (
        Mistake("no slope for x < 0", REGION, lambda dy, x: dy * (x > 0), settings=SETTINGS),
        Mistake("slope one for x < 0", MISSING, without_derivative),
        Mistake("twice the slope for x < 0", REGION,
                lambda dy, x: dy * np.where(x > 0, 1, 2 * LEAK)),
    )),
    "softplus": (SOFTPLUS, (
        Mistake("φ' = 1 from x = 3 on", REGION,
                lambda dy, x: dy * np.where(x > 3, 1, sigmoid(x)), settings=(WIDE, PLAIN)),
        Mistake("φ' missing", MISSING, without_derivative),
        Mistake("φ'(y)", AT_OUTPUT, lambda dy, x: dy * sigmoid(softplus(x))),
        Mistake("σ(−x) for σ(x)", ("activation-derivative-formula", *FORMULA),
                lambda dy, x: dy * sigmoid(-x)),
    )),
    "gelu": (GELU, (
        Mistake("φ' of the approximation by tanh", FORMULA + ("reduced-precision",),
                lambda dy, x: dy * gelu_tanh_slope(x), settings=(PLAIN, LARGE)),
        Mistake("the term x·φ(x) missing", ("product-rule-term-missing", *FORMULA),
                lambda dy, x: dy * normal_distribution(x), settings=SETTINGS),
        Mistake("φ'(y)", AT_OUTPUT,
                lambda dy, x: dy * gelu_slope(x * normal_distribution(x))),
        Mistake("φ' missing", MISSING, without_derivative),
    )),
    "silu": (SILU, (
        Mistake("one term of the product rule missing", ("product-rule-term-missing", *FORMULA),
                lambda dy, x: dy * sigmoid(x)),
        Mistake("φ'(y)", AT_OUTPUT, lambda dy, x: dy * silu_slope(x * sigmoid(x))),
    )),
    "elu": (ELU_FORMULA, (
        Mistake("α missing for x < 0", REGION,
                lambda dy, x: dy * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
        Mistake("α·eˣ − α for α·eˣ", REGION,
                lambda dy, x: dy * np.where(x > 0, 1, ELU * np.expm1(np.minimum(x, 0)))),
    )),
    "sin": (SINE, (
        Mistake("cos of the wrong sign", ("sign-flipped",), lambda dy, x: -dy * np.cos(x)),
        Mistake("φ'(y)", AT_OUTPUT, lambda dy, x: dy * np.cos(np.sin(x)), settings=SETTINGS),
    )),
    "square": (SQUARES, (
        Mistake("the factor two missing", ("scaled-by-constant",), lambda dy, x: dy * x,
                settings=(PLAIN, SMALL_NUMBERS, LARGE_NUMBERS)),
        Mistake("φ' missing", MISSING, without_derivative),
    )),
    "exp": (EXPONENTIAL, (
        Mistake("φ' missing", MISSING, without_derivative),
        Mistake("exp twice", AT_OUTPUT, lambda dy, x: dy * np.exp(np.exp(x)),
                settings=(Setting(size=0.5),)),
    )),
    "log": (LOGARITHM, (
        Mistake("x for 1/x", FORMULA, lambda dy, x: dy * x),
        Mistake("to base two in the derivative", ("scaled-by-constant",),
                lambda dy, x: dy / (x * math.log(2.0)), settings=SETTINGS),
    )),
    "sqrt": (ROOT, (
        Mistake("the factor ½ missing", ("scaled-by-constant",), lambda dy, x: dy / np.sqrt(x)),
        Mistake("1/(2x)", FORMULA, lambda dy, x: dy / (2 * x)),
    )),
    "hardtanh": (CLAMP, (
        Mistake("open above", REGION, lambda dy, x: dy * (x > -1), settings=SETTINGS),
        Mistake("φ' missing", MISSING, without_derivative, settings=(Setting(size=1.5),)),
    )),
}  # fmt: skip


def bugs() -> Iterator[Bug]:
    yield from plant(RELU, RELU_MISTAKES)
    yield from plant(TANH, TANH_MISTAKES)
    yield from plant(SIGMOID, SIGMOID_MISTAKES)
    yield from plant(TAIL, TAIL_MISTAKES)
    yield from plant(OVERFLOW, OVERFLOW_MISTAKES)
    for formula, mistakes in OTHER_MISTAKES.values():
        yield from plant(formula, mistakes)
