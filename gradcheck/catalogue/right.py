"""Correct functions, many of them awkward: none of them may be called wrong."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.catalogue import activation, affine, batchnorm, loss, protocol
from gradcheck.catalogue.case import (
    LARGE,
    PLAIN,
    SINGLE,
    SQUARE,
    Formula,
    Function,
    Generator,
    Pair,
    Right,
    Setting,
)

LONE = Setting(1, 5, 4)
EMPTY = Setting(0, 5, 4)
TINY, HUGE = Setting(size=1e-12), Setting(size=1e6)
ODD = Setting(3, 1, 7)
SETTINGS = (PLAIN, SINGLE, LONE, EMPTY, TINY, HUGE, ODD)


def rights() -> Iterator[Right]:
    yield from formulas()
    yield from kinks()
    yield from ill_conditioned()
    yield from stateful()
    for name, forward, backward, draw, names in SPECIALS:
        yield special(name, forward, backward, draw, names)


def formulas() -> Iterator[Right]:
    """The formulas that mistakes are planted in, themselves."""
    yield from affine.AFFINE.right(*SETTINGS, SQUARE, LARGE)
    yield from affine.SCALE.right(PLAIN, SINGLE, LONE, HUGE)
    yield from affine.PRODUCT.right(PLAIN, SINGLE, SQUARE, TINY)
    for formula in activation.ALL:
        yield from formula.right(PLAIN, SINGLE)
    for formula in (activation.RELU, activation.TANH, activation.SIGMOID, activation.SQUARES):
        yield from formula.right(LONE, EMPTY, TINY)
    for formula in (activation.RELU, activation.LEAKY, activation.SQUARES):
        yield from formula.right(HUGE)
    yield from batchnorm.BATCHNORM.right(
        PLAIN, SINGLE, Setting(2, 4, 1), Setting(64, 3, 1), batchnorm.NARROW_SPREAD, HUGE
    )
    yield from batchnorm.DEFAULT.right(PLAIN, name="batchnorm with γ = 1")
    yield from batchnorm.EVALUATION.right(PLAIN, SINGLE, LONE, name="batchnorm in evaluation")
    yield from batchnorm.LAYERNORM.right(PLAIN, SINGLE, LONE)
    yield from loss.CROSS_ENTROPY.right(PLAIN, SINGLE, LONE, TINY, Setting(64, 10, 1))
    yield from loss.CROSS_ENTROPY.right(Setting(size=30.0), Setting(size=1000.0))
    yield from loss.SOFT.right(PLAIN, SINGLE, LONE)
    yield from loss.SQUARED.right(PLAIN, SINGLE, TINY, HUGE)
    yield from loss.ABSOLUTE.right(PLAIN, SINGLE)
    yield from loss.BINARY.right(PLAIN, SINGLE)
    for setting in loss.SETTINGS:
        make = loss.scalar(loss.decayed(1.0), setting)
        yield Right(f"loss with decay, {setting}", "loss with decay", make)


# ---------------------------------------------------------------- kinks

DISTANCES = (1e-2, 1e-4, 1e-6, 1e-9, 0.0)
"""From a kink to the nearest sample."""


def near_kink(distance: float, place: float = 0.0) -> Callable[[Generator, Setting], list[Any]]:
    def draw(rng: Generator, at: Setting) -> list[Any]:
        x = at.normal(rng, at.batch, at.inputs)
        x[0, 0], x[-1, -1] = place + distance, place - distance
        return [x]

    return draw


def kinks() -> Iterator[Right]:
    for distance in DISTANCES:
        convention = "" if distance else "kink-convention"
        for formula, place in (
            (activation.RELU, 0.0),
            (activation.LEAKY, 0.0),
            (activation.CLAMP, 1.0),
        ):
            yield kink(formula, distance, place, formula.backward, convention)
    taken = ((1.0, lambda dy, x: dy * (x >= 0)), (0.5, lambda dy, x: dy * np.heaviside(x, 0.5)))
    for slope, backward in taken:
        yield kink(activation.RELU, 0.0, 0.0, backward, "kink-convention", f"ReLU'(0) = {slope}: ")


def kink(
    formula: Formula,
    distance: float,
    place: float,
    backward: Function,
    convention: str,
    prefix: str = "",
) -> Right:
    def make(rng: Generator) -> Pair:
        inputs = near_kink(distance, place)(rng, PLAIN)
        return Pair(formula.forward, backward, inputs, formula.names)

    name = f"{prefix}{formula.family}, {distance:g} from its kink"
    return Right(name, "kinks", make, convention)


# ---------------------------------------------------------------- batchnorm at its limits


def ill_conditioned() -> Iterator[Right]:
    """Means far above the spread, columns of very different spread, columns all alike."""
    for name, change in (
        ("mean 1e4 above the spread", lambda x: x + 1e4),
        ("mean 1e6 above the spread", lambda x: x + 1e6),
        ("columns from 1e-3 to 1e3", lambda x: x * np.logspace(-3, 3, x.shape[1])),
        ("spread 1e-6, below eps", lambda x: 1e-6 * x),
        ("one row far out", lambda x: x + 1e3 * (np.arange(len(x)) == 0)[:, None]),
    ):
        yield Right(
            f"batchnorm, {name}", "batchnorm", changed_inputs(change), may_be_inconclusive=True
        )


def changed_inputs(change: Function) -> Callable[[Generator], Pair]:
    def make(rng: Generator) -> Pair:
        x, *others = batchnorm.draw(rng, PLAIN)
        formula = batchnorm.BATCHNORM
        return Pair(formula.forward, formula.backward, [change(x), *others], formula.names)

    return make


# ---------------------------------------------------------------- layers that keep things


class Accumulating(protocol.Layer):
    """Adds up gradients, as told to; returns those of the call."""

    total: Any = 0.0
    count = 0

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        gradients = super().backward(dy, x, w)
        self.count += 1
        return gradients


class Remembering(protocol.Layer):
    """Keeps copies of everything."""

    def forward(self, x: Any, w: Any) -> Any:
        self.x, self.w = x.copy(), w.copy()
        return super().forward(x, w)

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy, self.x, self.w)


def stateful() -> Iterator[Right]:
    for layer in (protocol.Layer, Accumulating, Remembering):
        for setting in (PLAIN, SINGLE, LONE):
            make = protocol.MANNERS.problem(setting, layer=layer)
            yield Right(f"{layer.__name__.lower()} layer, {setting}", "manners", make)


# ---------------------------------------------------------------- of other kinds


def special(
    name: str,
    forward: Function,
    backward: Function,
    draw: Callable[[Generator], Sequence[Any]],
    names: Sequence[str],
) -> Right:
    return Right(name, "others", lambda rng: Pair(forward, backward, draw(rng), names))


def rows(*shapes: tuple[int, ...], size: float = 1.0, dtype: Any = np.float64) -> Any:
    return lambda rng: [np.asarray(size * rng.standard_normal(s), dtype) for s in shapes]


def positive(*shapes: tuple[int, ...]) -> Any:
    return lambda rng: [rng.uniform(0.5, 2.0, shape) for shape in shapes]


def gathered(rng: Generator) -> Sequence[Any]:
    return [rng.standard_normal((6, 3)), np.array([0, 2, 2, 5])]


def scattered(dy: Any, x: Any, index: Any) -> Any:
    dx = np.zeros_like(x)
    np.add.at(dx, index, dy)
    return dx, None


def largest(dy: Any, x: Any) -> Any:
    return dy[:, None] * (x == x.max(1, keepdims=True))


def normalised_rows(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(1, keepdims=True))


def normalised_rows_backward(dy: Any, x: Any) -> Any:
    y, length = normalised_rows(x), np.sqrt((x * x).sum(1, keepdims=True))
    return (dy - y * (dy * y).sum(1, keepdims=True)) / length


def softmax_backward(dy: Any, z: Any) -> Any:
    p = loss.softmax(z)
    return p * (dy - (dy * p).sum(1, keepdims=True))


def inverse_backward(dy: Any, a: Any) -> Any:
    b = np.linalg.inv(a).T
    return -b @ dy @ b


def convolve_backward(dy: Any, x: Any, k: Any) -> Any:
    return np.convolve(dy, k[::-1], "valid"), np.convolve(dy, x[::-1], "valid")


SPECIALS: tuple[tuple[str, Function, Function, Any, tuple[str, ...]], ...] = (
    ("two outputs", lambda x: (np.sin(x), x * x),
     lambda dy, x: dy[0] * np.cos(x) + dy[1] * 2 * x, rows((4, 3)), ("x",)),
    ("two outputs of two shapes", lambda x, w: (x @ w, x.sum(0)),
     lambda dy, x, w: (dy[0] @ w.T + dy[1], x.T @ dy[0]), rows((4, 3), (3, 2)), ("x", "w")),
    ("an output that is a scalar", lambda x: (x**3).sum(), lambda dy, x: dy * 3 * x * x,
     rows((5,)), ("x",)),
    ("a scalar input", lambda x, s: s * x, lambda dy, x, s: (dy * s, (dy * x).sum()),
     rows((4, 3), ()), ("x", "s")),
    ("scalars only", lambda a, b: a * b + np.sin(a), lambda dy, a, b: (
        dy * (b + np.cos(a)), dy * a), rows((), ()), ("a", "b")),
    ("an integer argument", lambda x, power: x**power,
     lambda dy, x, power: (dy * power * x ** (power - 1), None),
     lambda rng: [rng.uniform(0.5, 2, (3, 4)), 3], ("x", "power")),
    ("an index, with repeats", lambda x, i: x[i], scattered, gathered, ("x", "index")),
    ("a maximum over columns", lambda x: x.max(1), largest, rows((6, 5)), ("x",)),
    ("a constant function", lambda x: np.ones_like(x), lambda dy, x: np.zeros_like(x),
     rows((3, 4)), ("x",)),
    ("the identity", lambda x: x.copy(), lambda dy, x: dy.copy(), rows((3, 4)), ("x",)),
    ("an input that does not matter", lambda x, unused: np.sin(x),
     lambda dy, x, unused: (dy * np.cos(x), np.zeros_like(unused)), rows((3, 4), (2,)),
     ("x", "unused")),
    ("rows of length one", normalised_rows, normalised_rows_backward, rows((5, 4)), ("x",)),
    ("softmax", loss.softmax, softmax_backward, rows((5, 4)), ("z",)),
    ("softmax at 30", loss.softmax, softmax_backward, rows((5, 4), size=30.0), ("z",)),
    ("softmax in float32", loss.softmax, softmax_backward, rows((5, 4), dtype=np.float32), ("z",)),
    ("a quotient", lambda a, b: a / b, lambda dy, a, b: (dy / b, -dy * a / b**2),
     positive((4, 3), (4, 3)), ("a", "b")),
    ("a power", lambda a, b: a**b, lambda dy, a, b: (
        dy * b * a ** (b - 1), dy * a**b * np.log(a)), positive((4, 3), (4, 3)), ("a", "b")),
    ("an inverse", lambda a: np.linalg.inv(a), inverse_backward,
     lambda rng: [np.eye(4) * 3 + rng.standard_normal((4, 4))], ("a",)),
    ("a convolution", np.convolve, convolve_backward, rows((12,), (3,)), ("x", "k")),
    ("a cumulative sum", lambda x: x.cumsum(0), lambda dy, x: dy[::-1].cumsum(0)[::-1],
     rows((6, 3)), ("x",)),
    ("a transpose", lambda x: x.T.copy(), lambda dy, x: dy.T.copy(), rows((3, 5)), ("x",)),
    ("four dimensions", lambda x: x.mean((2, 3)), lambda dy, x: np.broadcast_to(
        dy[:, :, None, None], x.shape) / (x.shape[2] * x.shape[3]), rows((2, 3, 4, 5)), ("x",)),
    ("waves of 1e3 per unit", lambda x: np.sin(1e3 * x), lambda dy, x: 1e3 * dy * np.cos(1e3 * x),
     rows((4, 3)), ("x",)),
    ("saturated sigmoid at 40", activation.sigmoid,
     lambda dy, x: dy * activation.sigmoid(x) * activation.sigmoid(-x),
     lambda rng: [rng.uniform(-45.0, 45.0, (4, 5))], ("x",)),
    ("saturated tanh", np.tanh, lambda dy, x: dy / np.cosh(x) ** 2, rows((4, 5), size=15.0),
     ("x",)),
    ("a gradient of 1e-12", lambda x: 1e-12 * np.sin(x), lambda dy, x: 1e-12 * dy * np.cos(x),
     rows((4, 3)), ("x",)),
    ("a gradient of 1e12", lambda x: 1e12 * np.sin(x), lambda dy, x: 1e12 * dy * np.cos(x),
     rows((4, 3)), ("x",)),
    ("an offset of 1e6", lambda x: 1e6 + np.sin(x), lambda dy, x: dy * np.cos(x), rows((4, 3)),
     ("x",)),
    ("1e5 entries", lambda x: np.tanh(x), lambda dy, x: dy * (1 - np.tanh(x) ** 2),
     rows((250, 400)), ("x",)),
)  # fmt: skip
