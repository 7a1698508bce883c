"""Trial: a layer brought back to its first state before every experiment."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import float_dtype, is_floating, jitter, largest_difference
from gradcheck.compare import Probe, Quantity, compare
from gradcheck.layer import Layer, quiet
from gradcheck.numeric import Estimate, directional_derivative
from gradcheck.state import Snapshot
from gradcheck.verdict import FAIL

Array = np.ndarray

JITTERS = 2
"""How often a gradient is computed again a unit in the last place away."""

SHARP = 1e-9
"""Relative to the gradient: a bar below this needs no further steps."""


class Trial:
    """One layer, and the pair (forward, backward) over [x, parameters…] made of it.

    Every forward starts from the same state: the same running statistics, caches, gradients
    and random numbers. So the pair is a pure function, and what a layer does wrong between
    calls is left to the tests of the protocol, which make calls without that.

    Attributes
    ----------
    powers : for each gradient, p where it is N**p times that of the sum over the batch of N.
    reshaped : names of gradients that have another shape than their array, (out,) for
        (1, out), which is accepted.
    """

    def __init__(self, layer: Layer):
        self.layer, self.snapshot = layer, Snapshot(layer.target)
        self.values = layer.values()
        self.names = ["x", *layer.names]
        self.powers = [0] * len(self.names)
        self.reshaped: set[str] = set()

    # ------------------------------------------------------------------ the pure pair

    def forward(self, x: Any, *values: Any) -> Array:
        self.restart()
        self.layer.put(values)
        self.layer.zero()
        with quiet():
            return np.array(self.layer.forward(x))

    def backward(self, dy: Any, x: Any, *values: Any) -> tuple[Any, ...]:
        found = self.receive(dy)
        count = np.shape(x)[0] if np.ndim(x) else 1
        inputs = [x, *values]
        return tuple(
            None if g is None else self.fitted(i, np.array(g), inputs[i], count)
            for i, g in enumerate(found)
        )

    def fitted(self, i: int, gradient: Array, value: Any, count: int) -> Array:
        """The gradient in the shape of its array, and of the sum over the batch."""
        shape = np.shape(value)
        if gradient.shape != shape and trimmed(gradient.shape) == trimmed(shape):
            self.reshaped.add(self.names[i])
            gradient = gradient.reshape(shape)
        if self.powers[i] and count:
            gradient = gradient * float(count) ** -self.powers[i]
        return gradient

    # ------------------------------------------------------------------ single calls

    def restart(self) -> None:
        self.snapshot.restore()

    def call(self, x: Any) -> Any:
        """One forward, with the random numbers that every forward of a trial gets."""
        self.snapshot.restore_generators()
        with quiet():
            return self.layer.forward(x)

    def receive(self, dy: Any) -> list[Any]:
        """One backward; the very arrays in which the gradients are."""
        with quiet():
            return self.layer.gradients(self.layer.backward(dy))

    def alone(self, x: Any, dy: Any) -> tuple[Array, list[Any]]:
        """What forward and backward give from the first state."""
        self.restart()
        self.layer.zero()
        y = np.array(self.call(x.copy()))
        return y, held(self.receive(dy.copy()))

    # ------------------------------------------------------------------ differences

    def slope(self, inputs: Sequence[Any], dy: Array, i: int, direction: Array) -> Estimate:
        """The derivative of Σ dy·y along a direction of input i, with its error bar."""

        def along(t: float) -> Array:
            moved = [v + t * direction if j == i else v for j, v in enumerate(inputs)]
            return np.asarray(self.forward(np.array(moved[0]), *moved[1:]), np.float64).ravel()

        scale = float(abs(inputs[i]).max(initial=0)) or 1.0
        dtype = float_dtype(np.asarray(self.forward(np.array(inputs[0]), *inputs[1:])))
        size = float(np.linalg.norm(inputs[i] * direction))
        return directional_derivative(
            along,
            np.asarray(dy, np.float64).ravel(),
            (scale,),
            SHARP * float(abs(dy).max(initial=0)),
            float(np.finfo(dtype).eps),
            size,
            True,
        )

    def agrees(
        self, inputs: Sequence[Any], dy: Array, i: int, gradient: Array, direction: Array
    ) -> bool:
        """Whether a gradient has the slope of the differences; yes where these cannot tell."""
        wide = [np.asarray(v, np.float64) if is_floating(np.asarray(v)) else v for v in inputs]
        y = self.forward(wide[0].copy(), *wide[1:])
        if float_dtype(y) != np.float64:
            wide = list(inputs)
        rng = np.random.default_rng(0)
        others = [self.moved(inputs, dy, i, rng) for _ in range(JITTERS)]
        analytic = float((np.asarray(gradient, np.float64) * direction).sum())
        quantity = Quantity(
            self.names[i],
            lambda v: np.asarray(
                self.forward(*(v if j == i else np.array(w) for j, w in enumerate(wide))),
                np.float64,
            ).ravel(),
            np.asarray(wide[i]),
            gradient,
            np.asarray(dy, np.float64).ravel(),
            float(np.finfo(float_dtype(y)).eps),
            largest_difference(gradient, others),
        )
        probe = Probe("a random direction", direction, analytic)
        return compare(quantity, rng, [probe]).finding.verdict != FAIL

    def moved(self, inputs: Sequence[Any], dy: Array, i: int, rng: np.random.Generator) -> Any:
        """The gradient where every input is off by one unit in the last place."""
        near = jitter([np.asarray(v) for v in inputs], rng)
        self.forward(near[0].copy(), *near[1:])
        return self.backward(dy.copy(), near[0], *near[1:])[i]


def trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without ones in front: (1, n) is (n,)."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def held(gradients: Sequence[Any]) -> list[Any]:
    return [None if g is None else np.array(g) for g in gradients]
