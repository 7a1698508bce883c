"""Planted mistakes: forward, a backward that is wrong, shapes, and what it should be called."""

from collections.abc import Callable, Iterator
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
    yield Mistake(
        "1/N twice",
        affine,
        lambda dy, x, w, b: (None, x.T @ dy / len(x), None),
        AFFINE,
        "divided-by-batch-twice",
        wrong=1,
    )
    yield Mistake(
        "db mean",
        affine,
        lambda dy, x, w, b: (None, None, dy.mean(0)),
        AFFINE,
        "divided-by-batch-twice",
        wrong=2,
    )
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


def arranged() -> Iterator[Mistake]:
    for shapes in (SQUARE, ((40, 20), (20, 20), (20,))):
        yield Mistake(
            "dw transposed",
            affine,
            lambda dy, x, w, b: (None, dy.T @ x, None),
            shapes,
            "transposed",
            wrong=1,
        )
    yield Mistake(
        "dw transposed, shape",
        affine,
        lambda dy, x, w, b: (None, dy.T @ x, None),
        AFFINE,
        "transposed",
        wrong=1,
    )
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
    yield Mistake(
        "keepdims",
        affine,
        lambda dy, x, w, b: (None, None, dy.sum(0, keepdims=True)),
        AFFINE,
        "wrong-shape",
        wrong=2,
    )


def pointwise() -> Iterator[Mistake]:
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


def sums() -> Iterator[Mistake]:
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


def overwritten(dy, x):
    dx = np.zeros(x.shape)
    dx[ROWS] = dy
    return (dx,)


ROWS = np.array([0, 1, 1, 3, 3, 3])


def gates(x, c, w):
    a, f, g = np.split(x @ w, 3, axis=1)
    return sigmoid(f) * c + sigmoid(a) * np.tanh(g)


def gates_without_one(dy, x, c, w):
    a, _, g = np.split(x @ w, 3, axis=1)
    a, g = sigmoid(a), np.tanh(g)
    parts = [dy * g * a * (1 - a), 0 * dy, dy * a * (1 - g * g)]
    return None, None, x.T @ np.concatenate(parts, axis=1)


def layer_norm(x, w, b):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt(x.var(1, keepdims=True) + 1e-5) * w + b


def gamma_outside(dy, x, w, b):
    r = 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    xhat = (x - x.mean(1, keepdims=True)) * r
    means = dy.mean(1, keepdims=True) + xhat * (dy * xhat).mean(1, keepdims=True)
    return w * r * (dy - means), None, None


def swish(z):
    return z * sigmoid(z)


def swish_slope(z):
    return sigmoid(z) * (1 + z * (1 - sigmoid(z)))


def further() -> Iterator[Mistake]:
    yield Mistake("= for +=", lambda x: x[ROWS], overwritten, ((5, 2),), OVERWRITES)
    yield Mistake(
        "a gate", gates, gates_without_one, ((5, 3), (5, 2), (3, 6)), "gradient-stops",
        names=("x", "c", "w"), wrong=2,
    )  # fmt: skip
    yield Mistake(
        "γ outside", layer_norm, gamma_outside, ((6, 5), (5,), (5,)), "batchnorm-gamma-missing"
    )
    yield Mistake(
        "swish'(y)",
        lambda x, w: swish(x @ w),
        lambda dy, x, w: ((dy * swish_slope(swish(x @ w))) @ w.T, None),
        ((6, 4), (4, 3)),
        "activation-derivative-at-output",
    )
    yield Mistake(
        "db of a square convolution",
        lambda x, b: np.sin(x) + b[:, None],
        lambda dy, x, b: (None, dy.sum((0, 1))),
        ((3, 4, 4), (4,)),
        "bias-wrong-axis",
        wrong=1,
    )
    yield Mistake(
        "a function without a name",
        lambda x: x * np.tanh(x + 0.1 * x**3),
        lambda dy, x: (dy * (np.tanh(x + 0.1 * x**3) + x / np.cosh(x + 0.1 * x**3) ** 2),),
        (S,),
        "wrong-function-derivative",
    )


def regions() -> Iterator[Mistake]:
    def tanh_back(dy, x):
        return dy * (1 - np.tanh(x) ** 2)

    for shape in (S, L, (40,)):
        yield Mistake(
            "leaky",
            lambda x: np.where(x > 0, x, 0.1 * x),
            lambda dy, x: (dy * (x > 0),),
            (shape,),
            "region-wrong",
        )
    yield Mistake(
        "beyond 6",
        np.tanh,
        lambda dy, x: (tanh_back(dy, x) * (1 + (abs(x) > 6)),),
        ((8, 9),),
        "region-wrong",
        size=4.0,
    )
    yield Mistake(
        "x > 1",
        np.sin,
        lambda dy, x: (dy * np.cos(x) * (1 - 0.5 * (x > 1)),),
        ((8, 9),),
        "region-wrong",
    )
    yield Mistake(
        "a row", np.sin, lambda dy, x: (changed(dy * np.cos(x), 2, 1.5),), (S,), "region-wrong"
    )
    yield Mistake(
        "first column",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), np.s_[:, 0], 0.0),),
        (L,),
        "region-wrong",
    )
    yield Mistake(
        "one entry",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), (1, 2), 1.5),),
        (S,),
        "entries-wrong",
    )
    yield Mistake(
        "one entry of many",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), (17, 21), 1.5),),
        (L,),
        "entries-wrong",
    )
    for n in (13, 29, 100, 1003):
        yield Mistake(
            f"tail of {n}",
            np.sin,
            lambda dy, x: (changed(dy * np.cos(x), np.s_[len(x) // 8 * 8 :], 0.0),),
            ((n,),),
            "tail-not-computed",
        )
    yield Mistake(
        "tail of columns",
        np.sin,
        lambda dy, x: (changed(dy * np.cos(x), np.s_[:, 4:], 0.0),),
        ((6, 7),),
        "tail-not-computed",
    )


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


MISTAKES = [
    mistake
    for family in (scales, arranged, pointwise, affine_maps, sums, further, regions, arithmetic)
    for mistake in family()
]
