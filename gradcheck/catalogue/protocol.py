"""Right formulas with wrong manners: buffers, caches, arguments, memory, chance.

Each class is y = tanh(x·w), right but for one thing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.catalogue.case import (
    PLAIN,
    SINGLE,
    SQUARE,
    Bug,
    Formula,
    Generator,
    Mistake,
    Setting,
    plant,
)


class Layer:
    """y = tanh(x·w), with y kept from forward for backward."""

    def forward(self, x: Any, w: Any) -> Any:
        self.y = np.tanh(x @ w)
        return self.y.copy()

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dz = dy * (1 - self.y**2)
        return dz @ w.T, x.T @ dz


class AddsToBuffer(Layer):
    buffer: Any = None

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        self.buffer = dw if self.buffer is None else self.buffer + dw
        return dx, self.buffer.copy()


class AddsToEveryBuffer(Layer):
    dx: Any = 0.0
    dw: Any = 0.0

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        same = np.shape(self.dx) in ((), dx.shape)
        self.dx, self.dw = (self.dx + dx, self.dw + dw) if same else (dx, dw)
        return np.array(self.dx), np.array(self.dw)


class KeepsFirstOutput(Layer):
    y: Any = None

    def forward(self, x: Any, w: Any) -> Any:
        y = np.tanh(x @ w)
        self.y = y if self.y is None or self.y.shape != y.shape else self.y
        return y.copy()


class KeepsFirstInput(Layer):
    x: Any = None

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        self.x = x.copy() if self.x is None or self.x.shape != x.shape else self.x
        return super().backward(dy, self.x, w)


class KeepsFirstWeights(Layer):
    w: Any = None

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        self.w = w.copy() if self.w is None or self.w.shape != w.shape else self.w
        return super().backward(dy, x, self.w)


class ReturnsItsCache(Layer):
    """Whoever changes the output in place changes what backward uses; it does so itself."""

    held: Any = None

    def forward(self, x: Any, w: Any) -> Any:
        y = np.tanh(x @ w)
        if self.held is None or self.held.shape != y.shape or self.held.dtype != y.dtype:
            self.held = np.empty_like(y)
        self.held[...] = y
        self.y = self.held
        return self.held


class ReturnsItsBuffer(Layer):
    held: Any = None

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        if self.held is None or self.held.shape != dw.shape or self.held.dtype != dw.dtype:
            self.held = np.empty_like(dw)
        self.held[...] = dw
        return dx, self.held


class CentresInput(Layer):
    def forward(self, x: Any, w: Any) -> Any:
        x -= x.mean(axis=0)
        return super().forward(x, w)


class ScalesWeights(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        gradients = super().backward(dy, x, w)
        w -= np.asarray(0.1, w.dtype) * gradients[1]
        return gradients


class OverwritesInput(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        x[...] = dx
        return dx, dw


class MultipliesCotangent(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dy *= 1 - self.y**2
        return dy @ w.T, x.T @ dy


class ClearsCotangent(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        gradients = super().backward(dy, x, w)
        dy[...] = 0
        return gradients


class LeavesLastRow(Layer):
    """A loop that stops one row early writes into memory as it was."""

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        out = np.empty_like(dx)
        out[:-1] = dx[:-1]
        return out, dw


class LeavesLastColumn(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        out = np.empty_like(dw)
        out[:, :-1] = dw[:, :-1]
        return dx, out


class Races(Layer):
    """As a sum that several threads add to without a lock: now and then one is lost."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng()

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dz = dy * (1 - self.y**2)
        counted = self.rng.random(len(x)) < 0.7
        return dz @ w.T, x[counted].T @ dz[counted]


class DrawsAnotherMask(Layer):
    """Dropout whose backward draws a mask of its own."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng()

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        return dx * (self.rng.random(dx.shape) < 0.8), dw


class Dropout(Layer):
    """Another mask at every forward."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng()

    def forward(self, x: Any, w: Any) -> Any:
        self.mask = self.rng.random((len(x), w.shape[1])) < 0.8
        return super().forward(x, w) * self.mask

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy * self.mask, x, w)


def as_c_reads_it(array: Any) -> Any:
    """The memory from the first entry on, whatever the strides are."""
    packed = np.empty(array.shape, array.dtype).strides
    return np.lib.stride_tricks.as_strided(array, array.shape, packed)


class IgnoresStridesOfInput(Layer):
    def forward(self, x: Any, w: Any) -> Any:
        return super().forward(as_c_reads_it(x), w)

    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy, as_c_reads_it(x), w)


class IgnoresStridesInBackward(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy, x, as_c_reads_it(w))


class IgnoresOrder(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy, x.ravel(order="K").reshape(x.shape), w)


class Raises(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        raise NotImplementedError("backward is still to be written")


class ForgetsGradient(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        return super().backward(dy, x, w)[0]


class FlatGradient(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        return dx, dw.ravel()


class NotFinite(Layer):
    def backward(self, dy: Any, x: Any, w: Any) -> Any:
        dx, dw = super().backward(dy, x, w)
        return np.where(dx == dx.max(), np.nan, dx), dw


def draw(rng: Generator, at: Setting) -> list[Any]:
    return [at.normal(rng, at.batch, at.inputs), at.plain(rng, at.inputs, at.outputs) / 2]


MANNERS = Formula(
    "manners",
    ("x", "w"),
    lambda x, w: np.tanh(x @ w),
    lambda dy, x, w: Layer.backward(with_output(x, w), dy, x, w),
    draw,
)


def with_output(x: Any, w: Any) -> Layer:
    layer = Layer()
    layer.forward(x, w)
    return layer


BOTH = (PLAIN, SINGLE)
STALE = ("stale-cache",)
MISTAKES = (
    Mistake("dw is added to a buffer", ("accumulates-into-stale-buffer",), layer=AddsToBuffer,
            settings=BOTH),
    Mistake("both gradients are added up", ("accumulates-into-stale-buffer",),
            layer=AddsToEveryBuffer),
    Mistake("the first output is kept", STALE, layer=KeepsFirstOutput, settings=BOTH),
    Mistake("the first input is kept", STALE, layer=KeepsFirstInput, settings=BOTH),
    Mistake("the first weights are kept", (*STALE, "wrong-weights"), layer=KeepsFirstWeights),
    Mistake("the output is a buffer", ("cache-aliased",), layer=ReturnsItsCache, settings=BOTH),
    Mistake("the gradient is a buffer", ("cache-aliased",), layer=ReturnsItsBuffer, settings=BOTH),
    Mistake("forward centres x in place", ("input-modified",), layer=CentresInput),
    Mistake("backward updates w in place", ("input-modified",), layer=ScalesWeights,
            settings=BOTH),
    Mistake("backward writes dx into x", ("input-modified",), layer=OverwritesInput),
    Mistake("backward multiplies dy in place", ("cotangent-modified",),
            layer=MultipliesCotangent, settings=BOTH),
    Mistake("backward clears dy", ("cotangent-modified",), layer=ClearsCotangent),
    Mistake("the last row is not written", ("output-not-written",), layer=LeavesLastRow,
            settings=(PLAIN, Setting(40, 30, 4))),
    Mistake("the last column is not written", ("output-not-written",), layer=LeavesLastColumn,
            settings=(PLAIN, Setting(5, 40, 30))),
    Mistake("a race", ("not-deterministic",), layer=Races, settings=(Setting(20, 5, 4),)),
    Mistake("another mask in backward", ("not-deterministic",), layer=DrawsAnotherMask),
    Mistake("another mask at every forward", ("not-deterministic",), layer=Dropout),
    Mistake("strides of x ignored", ("layout-ignored",), layer=IgnoresStridesOfInput,
            settings=(PLAIN, SQUARE)),
    Mistake("strides of w ignored in backward", ("layout-ignored",),
            layer=IgnoresStridesInBackward, settings=BOTH),
    Mistake("Fortran order ignored", ("layout-ignored",), layer=IgnoresOrder),
    Mistake("backward raises", (), layer=Raises),
    Mistake("a gradient is forgotten", (), layer=ForgetsGradient),
    Mistake("the gradient is flat", (), layer=FlatGradient),
    Mistake("one entry is NaN", (), layer=NotFinite),
)  # fmt: skip


def bugs() -> Iterator[Bug]:
    yield from plant(MANNERS, MISTAKES)
